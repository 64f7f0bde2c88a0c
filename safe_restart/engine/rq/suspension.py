"""The suspension lease: RQ's workers take no new job while it is held, and go on by themselves if we die.

RQ's `suspend()` has no owner and sets its expiry in a second command (FACTS 1.12), so the key is written by hand: set
with a token and an expiry only where it is free, renewed while the helper lives, released by compare-and-delete.
"""

import threading
from collections.abc import Callable

from redis import Redis
from redis.exceptions import RedisError

from . import connection, keys

LEASE_SECONDS = 30  # DESIGN: if the helper dies, work resumes by itself within this time
RENEW_SECONDS = 5  # six tries before the lease lapses
FOREIGN_INTERVAL_SECONDS = 0.1  # how soon ours takes the place of a foreign suspension that ended

TOKEN_PREFIX = "safe-restart:"


def holding_bench(token: str) -> str:
	"""The bench whose restart holds the queues with this token; empty where somebody else suspended them."""
	return token.removeprefix(TOKEN_PREFIX).rpartition(":")[0] if token.startswith(TOKEN_PREFIX) else ""


def describe_holder(token: str, bench_id: str) -> tuple[str, str]:
	"""Who holds the queues of this bench, as a half sentence, and what to do about it."""
	holder = holding_bench(token)
	if holder == bench_id:
		return (
			"by this bench's own restart or drain",
			"`safe-restart status` shows it; `safe-restart resume` ends a drain",
		)
	if holder:
		return (
			f"by a restart of {holder}, on the same Redis",
			"nothing to do: it ends by itself, with that restart",
		)
	return f"by {token!r}", f"find out why; to lift it: redis-cli DEL {keys.SUSPENDED}"


class Lease:
	"""Holds the bench's workers back from new jobs, from `take` to `release`.

	A suspension somebody else set is never touched: `foreign` then names it, and it is still there after `release`, unless
	it ended before: then ours takes its place. A thread renews the lease, so a slow step never lets it lapse; `on_change`
	is called from that thread with a sentence when it changed hands, or lapsed and was taken again.
	"""

	def __init__(
		self,
		redis: Redis,
		bench_id: str,
		request_id: str,
		on_change: Callable[[str], None] = lambda sentence: None,
	):
		self.redis = redis
		self.prefix = f"{TOKEN_PREFIX}{bench_id}:"
		self.token = self.prefix + request_id
		self.on_change = on_change
		self.foreign: str | None = None
		self.is_held = False
		self._take = connection.script(redis, "take")
		self._release = connection.script(redis, "release")
		self._renew = connection.script(redis, "renew")
		self._stop = threading.Event()
		self._thread: threading.Thread | None = None

	def take(self) -> None:
		"""Suspend, or note who has suspended already. Raises RedisError where Redis does not answer.

		The caller holds the bench's lock, so a suspension of this bench that stands already was left by a dead helper.
		"""
		holder = self._take(keys=[keys.SUSPENDED], args=[self.token, LEASE_SECONDS * 1000, self.prefix])
		self.foreign = holder if holder != self.token else None
		self.is_held = True
		# Taken again while it is held, after Redis was away say, one thread still renews it: a second one would outlive
		# the release and could set the flag anew.
		if not (self._thread and self._thread.is_alive()):
			self._stop.clear()
			self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
			self._thread.start()

	@property
	def holder(self) -> str:
		"""The token that was found or set when the lease was last taken or renewed."""
		return self.foreign or self.token

	def release(self) -> None:
		"""Resume, if the suspension is ours; does nothing the second time. Never raises.

		Where Redis does not answer the key lapses by itself after LEASE_SECONDS.
		"""
		self._stop.set()
		if self._thread:
			self._thread.join()
			self._thread = None
		if self.is_held:
			try:
				self._release(keys=[keys.SUSPENDED], args=[self.token])
			except (RedisError, OSError) as error:
				self.on_change(
					f"the suspension could not be released ({error}); it lapses within {LEASE_SECONDS} s"
				)
		self.is_held = False

	def _keep(self) -> None:
		while not self._stop.wait(RENEW_SECONDS if self.foreign is None else FOREIGN_INTERVAL_SECONDS):
			try:
				answer = self._renew(keys=[keys.SUSPENDED], args=[self.token, LEASE_SECONDS * 1000])
			except (RedisError, OSError):
				continue  # tried again in RENEW_SECONDS; whoever watches the drain sees Redis away by itself
			before, self.foreign = self.foreign, answer if answer not in ("held", "retaken") else None
			if before is None and answer == "retaken":
				self.on_change("the suspension had lapsed or was removed, and was taken again")
			elif before and not self.foreign:
				self.on_change(f"the suspension of {before!r} ended, and ours took its place")
			elif self.foreign != before:
				self.on_change(f"the suspension now belongs to {self.foreign!r}; it is respected")
