"""Reserved paths of a record."""

DELETED = "_deleted"
"""{"seen": [change ids], "reason": text} deletes, false takes it back."""
