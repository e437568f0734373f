"""`python -m field_client` is `patrolbook`."""

from field_client.cli import main

main()
