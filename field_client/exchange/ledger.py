"""The honest sync ledger: for everything that was written or captured here, where it is by now.

    saved → queued → n of N parts → held by the server → proven (its receipt was verified)

"Safe to hand in" is never a guess: it is true only when nothing waits, nothing is a dead letter, and there is a
verified receipt for every change and every blob.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from field_client.exchange.uploads import Blob, Uploads
from field_client.exchange.witnessed import Seen
from field_client.platform.database import Database
from schemas.labels import Label


class RecordLine(NamedTuple):
    """The own changes of a record by how far they are, and its blobs.

    queued    not acknowledged yet; `dead`: refused as unreadable
    unproven  acknowledged, the receipt is not verified yet; `proven`: it is
    waiting   acknowledged, but parked or quarantined: staff will decide
    """

    record: str
    kind: str
    queued: int
    dead: int
    unproven: int
    proven: int
    waiting: int
    blobs: tuple[Blob, ...]

    @property
    def safe(self) -> bool:
        return not (self.queued or self.dead or self.unproven) and all(blob.proven for blob in self.blobs)


class Ledger(NamedTuple):
    """Everything that was made here.

    loose        blobs of records in which nothing was written here
    unwitnessed  changes and blobs that have a receipt, where the trust file asks for witnesses as well and too few of
                 them have seen the log so far
    """

    records: tuple[RecordLine, ...]
    loose: tuple[Blob, ...]
    unwitnessed: int = 0

    @property
    def blobs(self) -> list[Blob]:
        """Every blob, each once."""
        named = [blob for line in self.records for blob in line.blobs]
        return list({blob.sha256: blob for blob in [*named, *self.loose]}.values())

    @property
    def safe_to_hand_in(self) -> bool:
        return not self.reasons()

    def reasons(self) -> list[Label]:
        """Why the tablet must not be handed in yet; empty when it is safe."""
        queued = sum(line.queued for line in self.records)
        dead = sum(line.dead for line in self.records)
        unproven = sum(line.unproven for line in self.records)
        blobs = self.blobs
        away = [blob for blob in blobs if not blob.held]
        unsure = [blob for blob in blobs if blob.held and not blob.proven]
        told = (
            (queued, Label(f"{queued} 条变更还没有上传", f"{queued} changes are not uploaded yet")),
            (dead, Label(f"{dead} 条变更服务器无法读取", f"{dead} changes could not be read by the server")),
            (unproven, Label(f"{unproven} 条变更的回执还没有核验", f"{unproven} changes lack a verified receipt")),
            (len(away), Label(f"{len(away)} 个文件还没有上传完", f"{len(away)} files are not uploaded yet")),
            (
                len(unsure),
                Label(f"{len(unsure)} 个文件的回执还没有核验", f"{len(unsure)} files lack a verified receipt"),
            ),
            (
                self.unwitnessed,
                Label(
                    f"{self.unwitnessed} 项已有回执，但还没有见证会签",
                    f"{self.unwitnessed} have a receipt that no witness stands behind yet",
                ),
            ),
        )
        return [reason for count, reason in told if count]


def read(database: Database, uploads: Uploads, seen: Seen | None = None) -> Ledger:
    """The ledger as it stands; `seen` is what witnesses have cosigned, where that is asked for."""
    with database.reading():
        counts = database.rows(
            "SELECT record, min(kind), sum(status = 'queued'), sum(status = 'dead'),"
            " sum(status IN ('held', 'settled') AND proven = 0), sum(proven = 1),"
            " sum(disposition IN ('parked', 'quarantined')) FROM changes GROUP BY record ORDER BY max(seq) DESC"
        )
        blobs = uploads.all()
        unwitnessed = _unwitnessed(database, seen.size) if seen is not None else 0
    by_record: dict[str, list[Blob]] = defaultdict(list)
    for blob in blobs:
        for record in blob.records:
            by_record[record].append(blob)
    lines = [RecordLine._make((*row, tuple(by_record.pop(row[0], ())))) for row in counts]
    loose = {blob.sha256: blob for left in by_record.values() for blob in left}
    return Ledger(tuple(lines), tuple(loose.values()), unwitnessed)


def _unwitnessed(database: Database, size: int) -> int:
    """What has a receipt at or beyond this size of the log."""
    return sum(
        int(database.value(f"SELECT count(*) FROM {table} WHERE proven = 1 AND leaf >= ?", (size,)))
        for table in ("changes", "blobs")
    )
