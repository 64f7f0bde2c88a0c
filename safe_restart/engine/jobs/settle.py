"""Deciding what becomes of one job, atomically."""

from redis import Redis

from ..core.bench import Bench
from ..core.timestamps import utc_now
from ..rq import connection
from ..rq.keys import delayed_key, held_key
from .actions import DELAY, FAIL, HOLD, REQUEUE

ACTED = {
	REQUEUE: "put back at the front of its queue",
	DELAY: "is run again after a pause",
	HOLD: "held for a person to decide",
	FAIL: "marked as failed",
}


class Settler:
	"""Settles single jobs in the name of one person or request."""

	def __init__(self, bench: Bench, redis: Redis, who: str):
		self.keys = [held_key(bench), delayed_key(bench)]
		self.script = connection.script(redis, "settle")
		self.who = who

	def settle(
		self,
		job_id: str,
		status: str,
		action: str,
		why: str,
		interruptions: int | None,
		delay_seconds: float = 0,
	) -> str:
		"""Settle a job that still has this status; 'done', or what it is now, and nothing was done. Raises RedisError.

		interruptions: their number by now; None leaves it as it was
		"""
		times = "" if interruptions is None else interruptions
		args = [job_id, status, action, why, self.who, utc_now(), times, round(delay_seconds)]
		return self.script(keys=self.keys, args=args)


def ordinal(number: int) -> str:
	"""`first`, `second`, `third`, `4th` and so on."""
	return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")
