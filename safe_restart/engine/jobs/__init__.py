"""Interrupted and lost jobs: found, and queued again, delayed, held or marked as failed."""
