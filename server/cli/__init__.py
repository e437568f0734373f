"""The command line of the server: `patrolbook-server`. One module for each sort of work; each adds its commands."""

import server.cli.access
import server.cli.accounts
import server.cli.care
import server.cli.checklists
import server.cli.clips
import server.cli.desk
import server.cli.divisions
import server.cli.duplicates
import server.cli.evidence
import server.cli.handover
import server.cli.people
import server.cli.photos
import server.cli.proof
import server.cli.setup
import server.cli.shifts
import server.cli.tables
import server.cli.timestamp
import server.cli.witness  # noqa: F401
from server.cli.frame import main

__all__ = ["main"]
