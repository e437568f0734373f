"""The commands of `patrolbook`, one module for each thing that people do."""
