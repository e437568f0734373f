"""The pure part of syncing: no I/O, no clock, no randomness, no database, no HTTP."""
