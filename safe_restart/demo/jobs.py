"""Jobs of a bench in miniature."""

import uuid
from typing import Any

from redis import Redis
from rq import VERSION as RQ_VERSION
from rq import Queue

from ..engine.core import bench as benches
from . import app


def enqueue(
	bench: benches.Bench, redis: Redis, seconds: float, name: str, queue: str = "default", **kwargs: Any
) -> str:
	"""Queue one job on a bench in miniature, as Frappe would; returns its id."""
	job = Queue(f"{bench.queue_prefix}{queue}", connection=redis).enqueue(
		app.execute_job,
		job_id=new_job_id(),
		kwargs={"site": app.SITE, "method": "demo.work_for", "seconds": seconds, "name": name, **kwargs},
		job_timeout=bench.queue_timeouts_seconds.get(queue, benches.DEFAULT_JOB_TIMEOUT_SECONDS),
		result_ttl=600,
		failure_ttl=7 * 24 * 3600,
	)
	return job.id


def new_job_id() -> str:
	"""A job id as Frappe makes it, beginning with the site; without the site for rq 3, which allows no
	separator (FACTS 6)."""
	separator = {1: "::", 2: "||"}.get(int(RQ_VERSION.split(".")[0]))
	return f"{app.SITE}{separator}{uuid.uuid4()}" if separator else str(uuid.uuid4())
