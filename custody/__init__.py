"""Custody: how what was captured proves itself, to people who trust neither the tablet nor the server."""
