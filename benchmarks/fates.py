"""What became of each job, from two witnesses: the ledger the jobs themselves write, and Redis."""

import time
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError

from safe_restart.demo.bench import DemoBench
from safe_restart.engine.rq.keys import queue_key
from safe_restart.engine.rq.snapshot import RqReader

SETTLE_TIMEOUT_SECONDS = 60
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Fates:
	"""Counts of jobs.

	interrupted: a run of it began and did not end, or it was killed before it began and RQ says failed
	lost: it never began and stands in no queue, SETTLE_TIMEOUT_SECONDS after the last one was queued
	run_twice: it ended more than once
	failed: RQ says failed, also where the work was done
	unaccounted: its work ended, but RQ still takes it for running
	"""

	jobs: int
	interrupted: int
	lost: int
	run_twice: int
	failed: int
	unaccounted: int


def settle(demo: DemoBench, jobs: dict[str, str]) -> Fates:
	"""Wait until each job of `jobs` (RQ's id by name) has ended or failed and all is quiet, and count.

	Waits at most SETTLE_TIMEOUT_SECONDS, which is what a lost job takes.
	"""
	rq_reader = RqReader(demo.bench)
	deadline = time.monotonic() + SETTLE_TIMEOUT_SECONDS
	while time.monotonic() < deadline and not is_settled(demo, rq_reader, jobs):
		time.sleep(POLL_SECONDS)
	return count(demo, rq_reader, jobs)


def is_settled(demo: DemoBench, rq_reader: RqReader, jobs: dict[str, str]) -> bool:
	try:
		snapshot = rq_reader.snapshot()
		# A worker that died while Redis was away stays listed as busy.
		living = [worker for worker in snapshot.workers if demo.lives(worker)]
		if snapshot.queued or any(worker.state != "idle" for worker in living):
			return False
		failed, ended = members(rq_reader, "zrange", "rq:failed:"), demo.runs("end")
	except RedisError:
		return False
	return all(ended[name] or job_id in failed for name, job_id in jobs.items())


def count(demo: DemoBench, rq_reader: RqReader, jobs: dict[str, str]) -> Fates:
	begun, ended = demo.runs("begin"), demo.runs("end")
	failed = members(rq_reader, "zrange", "rq:failed:")
	waiting = members(rq_reader, "lrange", queue_key(""))
	status = statuses(rq_reader.redis, jobs.values())
	return Fates(
		jobs=len(jobs),
		interrupted=sum(
			begun[name] > ended[name] or (not begun[name] and job_id in failed)
			for name, job_id in jobs.items()
		),
		lost=sum(not begun[name] and job_id not in failed | waiting for name, job_id in jobs.items()),
		run_twice=sum(ended[name] > 1 for name in jobs),
		failed=sum(job_id in failed for job_id in jobs.values()),
		unaccounted=sum(ended[name] > 0 and status[id] == "started" for name, id in jobs.items()),
	)


def members(rq_reader: RqReader, command: str, prefix: str) -> set[str]:
	"""All job ids in the bench's keys `<prefix><queue>`, read with ZRANGE or LRANGE: RQ's own reader would clean up."""
	read = getattr(rq_reader.redis, command)
	return {id for queue in rq_reader.known_queues for id in read(f"{prefix}{queue}", 0, -1)}


def statuses(redis: Redis, job_ids) -> dict[str, str | None]:
	job_ids = list(job_ids)
	with redis.pipeline(transaction=False) as pipe:
		for job_id in job_ids:
			pipe.hget(f"rq:job:{job_id}", "status")
		return dict(zip(job_ids, pipe.execute()))
