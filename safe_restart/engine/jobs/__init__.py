"""Interrupted and lost jobs: found, queued again, held or failed."""
