"""The names of all keys in Redis: RQ's own, and those that this tool adds."""

from ..core.bench import Bench


def depths_key(bench: Bench) -> str:
	return f"safe-restart:depths:{bench.bench_id}"


SUSPENDED = "rq:suspended"  # rq/suspension.py: RQ tests its existence and nothing else

# What this tool keeps in a job's hash; RQ leaves fields alone that it does not know.
OUR_FIELDS = ("safe_restart_attempts", "safe_restart_why", "safe_restart_who", "safe_restart_at")


def queue_key(queue: str) -> str:
	return f"rq:queue:{queue}"


def held_key(bench: Bench) -> str:
	return f"safe-restart:held:{bench.bench_id}"


def delayed_key(bench: Bench) -> str:
	return f"safe-restart:delayed:{bench.bench_id}"
