"""Samples of how many jobs wait in each queue, for the chart.

They are in the bench's Redis. The board adds one when it reads them, so there are none of times when no board was open.
"""

import json
from datetime import datetime, timezone
from typing import Any

from redis import Redis

from ..core.bench import Bench
from .keys import depths_key
from .snapshot import RqSnapshot

KEPT_SECONDS = 15 * 60
EVERY_SECONDS = 5
NONE: dict[str, Any] = {"at": [], "queues": {}}


def add_sample(bench: Bench, redis: Redis, snapshot: RqSnapshot) -> None:
	"""Add a sample from this snapshot, if the last one is EVERY_SECONDS old. Raises RedisError."""
	key, now = depths_key(bench), snapshot.now
	if redis.zcount(key, now - EVERY_SECONDS, "+inf"):
		return
	depths = {bench.short_queue_name(queue.name): queue.depth for queue in snapshot.queues}
	with redis.pipeline() as pipe:
		pipe.zadd(key, {json.dumps({"at": round(now), "depths": depths}): now})
		pipe.zremrangebyscore(key, "-inf", now - KEPT_SECONDS)
		pipe.expire(key, KEPT_SECONDS)
		pipe.execute()


def read_samples(bench: Bench, redis: Redis) -> dict[str, Any]:
	"""The samples of the last KEPT_SECONDS, the oldest first: `at` and, by queue, a list of as many depths.

	A queue that a sample does not name had no job waiting. Raises RedisError.
	"""
	samples = [json.loads(text) for text in redis.zrange(depths_key(bench), 0, -1)]
	names = sorted({name for sample in samples for name in sample["depths"]})
	return {
		"at": [timestamp(sample["at"]) for sample in samples],
		"queues": {name: [sample["depths"].get(name, 0) for sample in samples] for name in names},
	}


def timestamp(seconds: int) -> str:
	"""Seconds since the epoch as UTC in ISO 8601."""
	return datetime.fromtimestamp(seconds, timezone.utc).isoformat().replace("+00:00", "Z")
