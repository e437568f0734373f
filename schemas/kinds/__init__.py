"""One file per kind of record. `schemas.registry` finds every `RecordSchema` in here by itself."""
