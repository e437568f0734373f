"""How fast Patrolbook is, as ratios to a floor that is measured in the same run.

    python -m benchmarks                 everything (`make bench`)
    python -m benchmarks push pull       only these
    python -m benchmarks --profile       where the time goes, function by function

A ratio says how many times as long ours takes as the least that would have to be done anyway. Absolute times say more
about the machine than about the program, so none is asserted; floor and ours take turns (A B A B …), each ratio is of
one turn, and the median of the turns is printed, because a machine is never quiet. "wall" is what the aims are about;
"CPU" compares the processor time of both sides together, which a busy machine disturbs less.

The floor (`floor.py`, `floor_client.py`) moves the same bytes in batches or pages of the same size between two
processes over HTTP on the loopback interface, through the same WSGI server with the same settings, packed by the same
compression, into SQLite with the same pragmas on both sides; its client's database is encrypted as a tablet's has to
be, and plain for comparison:

    push      client: read lines from a table, post them, mark them sent.
              server: inflate, decode each line, SHA-256, insert, commit
    pull      server: read stored bytes by position.  client: inflate, decode each line, SHA-256, insert, one
              transaction for each page
    snapshot  download of the same file, and one copy of it
    growth    no floor: the same pull from a server with few records and from one with many

    hashing, capture   see `capture.py`;  duplicates  see `duplicates.py`;  guessing  see `guessing.py`

It has no signatures, no chain, no log, no receipts, no rights, no merging, no lists to read from. Ours has all of it:
the server as `patrolbook-server serve` runs it, and the tablet's own store, replicator and HTTP peer, with every
receipt verified before anything counts as sent. The greeting, the registration and the first, empty page of a round
count as part of its push. The aims say what all that may cost.

Not measured: the network (loopback has no delay and no limit, which is the worst case for ours, since what
computing costs cannot hide behind waiting), the upload of blobs, the screens, and writing the changes in the first place.
"""
