"""Waking idle workers without ending them, where the end of one process would end all.

An idle worker does not notice a suspension before it has taken one more job (FACTS 1.1). So an idle worker is given a
wake-up job, which does nothing, and reads the suspension after that. RQ itself makes the job, with RQ's own pickle,
and forgets the job when it is done (result_ttl 0). A wake-up job that no worker takes, because its sender was killed,
expires.
"""

import uuid
from collections.abc import Iterable

from redis import Redis
from redis.exceptions import WatchError

from ..core.bench import Bench
from .keys import job_key, queue_key
from .snapshot import Worker

# Letters and dashes only, for rq 3 (FACTS 6.2). Without a site's prefix, so that Frappe shows the job on no site.
PREFIX = "safe-restart-wake-up-"
DESCRIPTION = "wakes an idle worker"
KEPT_SECONDS = 60


def send_wakeup_jobs(redis: Redis, workers: Iterable[Worker]) -> None:
	"""Send one wake-up job to the first queue of each idle worker, except where a job waits there. Raises RedisError.

	Of several idle workers on a queue, the one that has waited longest takes the job. The others get one when this is
	called again.
	"""
	idle = [worker for worker in workers if worker.queues and worker.state == "idle"]
	for name in dict.fromkeys(worker.queues[0] for worker in idle):
		send_wakeup_job(redis, name)


def send_wakeup_job(redis: Redis, name: str) -> None:
	"""Send one wake-up job to the queue with this full name, except where a job waits there. Raises RedisError."""
	from rq.job import Job, JobStatus  # here, since this import is slow and nothing else needs it

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
			return  # another job came in, which wakes a worker as well


def remove_wakeup_jobs(bench: Bench, redis: Redis) -> None:
	"""Remove each wake-up job that waits in a queue of this bench. Raises RedisError.

	A wake-up job that a worker has taken ends at once.
	"""
	for name in bench.queue_timeouts_seconds:
		key = queue_key(bench.queue_prefix + name)
		for job_id in redis.lrange(key, 0, -1):
			if job_id.startswith(PREFIX) and redis.lrem(key, 0, job_id):
				redis.delete(job_key(job_id))
