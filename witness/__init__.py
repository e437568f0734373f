"""The witness: a small program that another organisation runs to see the log of a server grow."""
