"""What a record is: kinds, typed fields, workflows and the shipped libraries. Pure; no database, no HTTP."""
