"""The names of all keys in Redis that Python code uses: RQ's own, and those that this tool adds.

The scripts in lua/ spell RQ's names themselves, since Redis gives a script no way to import them.
"""

from ..core.bench import Bench

# RQ's own (rq 1.15.1 to 3.0).
SUSPENDED = "rq:suspended"  # rq/suspension.py: RQ tests its existence and nothing else
WORKERS = "rq:workers"  # a set of the keys of all workers
JOB_PREFIX = "rq:job:"
WORKER_PREFIX = "rq:worker:"

# The fields that this tool adds to a job's hash; RQ leaves fields alone that it does not know.
ATTEMPTS, WHY, WHO, AT = OUR_FIELDS = (
	"safe_restart_attempts",
	"safe_restart_why",
	"safe_restart_who",
	"safe_restart_at",
)

PROBE = "rq:safe-restart-probe"  # written for a moment to see that Redis takes writes


def job_key(job_id: str) -> str:
	"""The hash of a job."""
	return f"{JOB_PREFIX}{job_id}"


def worker_key(name: str) -> str:
	"""The hash of a worker."""
	return f"{WORKER_PREFIX}{name}"


def workers_of_queue_key(queue: str) -> str:
	"""The set of the keys of all workers that serve a queue."""
	return f"{WORKERS}:{queue}"


def queue_key(queue: str) -> str:
	"""The list of the ids of the jobs that wait in a queue."""
	return f"rq:queue:{queue}"


def command_channel(worker: str) -> str:
	"""The channel on which a worker receives RQ's commands."""
	return f"rq:pubsub:{worker}"


def held_key(bench: Bench) -> str:
	"""The set of the ids of a bench's held jobs."""
	return f"safe-restart:held:{bench.bench_id}"


def delayed_key(bench: Bench) -> str:
	"""The sorted set of the ids of a bench's delayed jobs; the score is the time at which a job is due."""
	return f"safe-restart:delayed:{bench.bench_id}"


def depths_key(bench: Bench) -> str:
	"""The sorted set of samples of how many jobs wait in each queue of a bench; the score is the time of the sample."""
	return f"safe-restart:depths:{bench.bench_id}"
