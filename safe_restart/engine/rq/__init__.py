"""RQ and Redis, read without side effects; and the suspension, which is what this tool writes there.

Only this room and jobs/settle.py know what differs between rq 1.15.1 and 3.0.
"""
