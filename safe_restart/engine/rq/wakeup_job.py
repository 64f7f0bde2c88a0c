"""Waking idle workers without ending them, where the end of one process would end all.

An idle worker never notices a suspension; it takes one more job first (FACTS 1.1). So it is given a wake-up job, which does
nothing, and it reads the suspension right after. RQ itself makes the job, with its own pickle, and forgets it when it is
done (result_ttl 0). A wake-up job that no worker takes, because its sender was killed, expires.
"""

import uuid
from collections.abc import Iterable

from redis import Redis
from redis.exceptions import WatchError

from ..core.bench import Bench
from .keys import job_key, queue_key
from .snapshot import Worker

# Letters and dashes only, since rq 3 takes nothing else; no site's prefix, so Frappe shows it to nobody.
PREFIX = "safe-restart-wake-up-"
DESCRIPTION = "wakes an idle worker"
KEPT_SECONDS = 60


def send_wakeup_jobs(redis: Redis, workers: Iterable[Worker]) -> None:
	"""One job for each queue of idle workers, and only where nothing waits. Raises RedisError.

	The worker that has waited longest takes it; the others get theirs the next time. A worker that takes a job which came in
	before is busy then, and needs none.
	"""
	idle = [worker for worker in workers if worker.queues and worker.state == "idle"]
	for name in dict.fromkeys(worker.queues[0] for worker in idle):
		send_wakeup_job(redis, name)


def send_wakeup_job(redis: Redis, name: str) -> None:
	from rq.job import Job, JobStatus  # nobody else needs them, and they take their time

	job = Job.create(
		"time.sleep",
		args=(0,),
		connection=redis,
		id=f"{PREFIX}{uuid.uuid4()}",
		origin=name,
		status=JobStatus.QUEUED,
		description=DESCRIPTION,
		timeout=KEPT_SECONDS,
		result_ttl=0,
		failure_ttl=KEPT_SECONDS,
	)
	with redis.pipeline() as pipe:
		try:
			pipe.watch(queue_key(name))
			if pipe.llen(queue_key(name)):
				return
			pipe.multi()
			job.save(pipeline=pipe)
			pipe.expire(job.key, KEPT_SECONDS)
			pipe.rpush(queue_key(name), job.id)
			pipe.execute()
		except WatchError:
			return  # a job came in, which wakes the worker as well


def remove_wakeup_jobs(bench: Bench, redis: Redis) -> None:
	"""Remove each wake-up job that stands in a queue of this bench; one that a worker has is done in no time. Raises
	RedisError."""
	for name in bench.queue_timeouts_seconds:
		key = queue_key(bench.queue_prefix + name)
		for job_id in redis.lrange(key, 0, -1):
			if job_id.startswith(PREFIX) and redis.lrem(key, 0, job_id):
				redis.delete(job_key(job_id))
