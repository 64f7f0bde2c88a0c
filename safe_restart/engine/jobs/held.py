"""Interrupted jobs that wait for a person or for the end of their pause: listed, queued again, discarded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError

from ..core.bench import Bench
from ..core.errors import Refused, RestartError, Unreachable
from ..rq import connection
from ..rq.keys import delayed_key, held_key
from ..rq.snapshot import Job, RqReader
from .actions import FAIL, REQUEUE
from .settle import Settler

HELD, DELAYED = "held", "delayed"


def release_due(bench: Bench, redis: Redis) -> list[str]:
	"""Queue the delayed jobs whose pause is over; returns their ids. Safe to call at any time, by anybody."""
	return connection.script(redis, "due")(keys=[delayed_key(bench)])


def seconds_to_next_due(bench: Bench, redis: Redis) -> float | None:
	"""Seconds until the next delayed job is due, 0 where one is due; None where there is no delayed job."""
	first = redis.zrange(delayed_key(bench), 0, 0, withscores=True)
	return max(0.0, first[0][1] - redis.time()[0]) if first else None


@dataclass(frozen=True)
class HeldJob:
	"""A held or delayed job; `due_in_seconds` is None for a held one."""

	job: Job
	kind: str
	due_in_seconds: float | None


def held_jobs(bench: Bench, rq_reader: RqReader) -> list[HeldJob]:
	"""All held and delayed jobs, the held ones first; delayed ones that are due are queued before. Raises RedisError.

	A job that RQ or a person has queued again by other means is not among them: it may be running now.
	"""
	release_due(bench, rq_reader.redis)
	now = rq_reader.redis.time()[0]
	ids = sorted(rq_reader.redis.smembers(held_key(bench)))
	held = [HeldJob(job, HELD, None) for job in rq_reader.jobs(ids) if job.status == "deferred"]
	due = dict(rq_reader.redis.zrange(delayed_key(bench), 0, -1, withscores=True))
	waiting = [HeldJob(job, DELAYED, max(0.0, due[job.id] - now)) for job in rq_reader.jobs(due)]
	return held + [found for found in waiting if found.job.status == "scheduled"]


@contextmanager
def reading_rq(bench: Bench) -> Iterator[RqReader]:
	"""A reader of the bench's RQ. Raises Unreachable, with a sentence for people, where Redis does not answer it."""
	try:
		yield RqReader(bench)
	except (RedisError, OSError) as error:
		raise Unreachable(
			f"Redis at {bench.redis_queue_url} does not answer ({error}). Nothing was changed. Start it and try again."
		) from None


def as_json(bench: Bench, one: HeldJob) -> dict[str, object]:
	"""A held or delayed job as a JSON object."""
	return {
		"id": one.job.id,
		"kind": one.kind,
		"method": one.job.method,
		"site": one.job.site,
		"queue": bench.short_queue_name(one.job.queue),
		"attempts": one.job.attempts,
		"why": one.job.why,
		"who": one.job.who,
		"at": one.job.at,
		"due_in_seconds": one.due_in_seconds,
	}


def requeue(bench: Bench, rq_reader: RqReader, job_id: str, who: str) -> None:
	"""Put a job at the front of its queue; its interruptions are counted anew. Raises RestartError, RedisError."""
	settle_by_hand(bench, rq_reader, job_id, who, REQUEUE, "queued again by hand")


def discard(bench: Bench, rq_reader: RqReader, job_id: str, who: str) -> None:
	"""Mark a job as failed; Frappe and RQ then show it as such. Raises RestartError, RedisError."""
	settle_by_hand(bench, rq_reader, job_id, who, FAIL, "discarded by hand")


def settle_by_hand(bench: Bench, rq_reader: RqReader, job_id: str, who: str, action: str, why: str) -> None:
	job = next((found.job for found in held_jobs(bench, rq_reader) if found.job.id == job_id), None)
	if job is None:
		raise Refused(
			f"No job {job_id!r} is held or delayed. Nothing was changed. `safe-restart jobs` lists those that are."
		)
	answer = Settler(bench, rq_reader.redis, who).settle(job_id, job.status, action, f"{why} by {who}", 0)
	if answer != "done":
		raise RestartError(
			f"Job {job_id} was changed by another process meanwhile (it is {answer}). Nothing was done. `safe-restart jobs` "
			"lists what is held and delayed now."
		)
