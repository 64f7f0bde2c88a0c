"""Workers: the process of each, when one can stop without losing a job, and how it is asked to stop."""
