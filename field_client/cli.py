"""`patrolbook`: everything that the tablet does, on the command line.

    patrolbook enrol https://county.example K7M2-P9XD-4HTR
    patrolbook institutions search kcpx
    patrolbook inspect start 学雅口才

What was confirmed on the screen is on the disk. A problem is a message with a next step and exit status 1; a wrong use
of a command is exit status 2.
"""

from __future__ import annotations

from field_client.commands.anchors import anchor
from field_client.commands.autostart import autostart
from field_client.commands.couriers import import_, rescue
from field_client.commands.covert import covert
from field_client.commands.device import device, enrol, language, lock, pin, unlock
from field_client.commands.evidence import evidence
from field_client.commands.hazards import hazard
from field_client.commands.inspections import inspect
from field_client.commands.institutions import institutions
from field_client.commands.officers import officer
from field_client.commands.recovering import recover
from field_client.commands.shifts import shift
from field_client.commands.storage import storage
from field_client.commands.syncing import conflicts, status, sync
from field_client.commands.tasks import task
from field_client.commands.ui import ui
from field_client.commands.verifying import verify
from field_client.session import group
from schemas.labels import Label


@group(
    "patrolbook",
    label=Label(
        "外勤检查：没有网络也能用，联网后合并，一条不丢",
        "Field inspection that works without a network and loses nothing",
    ),
    example="patrolbook enrol https://county.example K7M2-P9XD-4HTR",
)
def cli() -> None:
    pass


for one in (ui, enrol, sync, institutions, inspect, hazard, task, evidence, covert, officer, anchor, shift, status, storage, conflicts, rescue, import_, verify, unlock, lock, pin, recover,
            language, device, autostart):  # fmt: skip
    cli.add_command(one)


def main() -> None:
    """The console script."""
    cli(prog_name="patrolbook")
