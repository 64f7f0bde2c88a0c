"""RQ and Redis, seen from outside and without side effects. What differs between rq 1.15.1 and 3.0 is known in this room, in jobs/settle.py and nowhere else."""
