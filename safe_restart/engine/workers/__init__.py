"""Workers: who they are, when one can stop without losing a job, and how it is told."""
