"""The suspension of RQ's workers, as a lease: they go on by themselves if the helper that suspended them dies.

RQ's own `suspend()` has no owner and sets its expiry in a second command (FACTS 1.12). So the key is written here:
set with a token and an expiry where nobody else has suspended, renewed while the helper lives, and deleted by its
owner only.
"""

import threading
from collections.abc import Callable

from redis import Redis
from redis.exceptions import RedisError

from . import connection, keys

LEASE_SECONDS = 30  # if the helper dies, workers take jobs again within this time
RENEW_SECONDS = 5  # six tries before the lease lapses
FOREIGN_INTERVAL_SECONDS = 0.1  # between two tries to suspend while a foreign suspension stands

TOKEN_PREFIX = "safe-restart:"


def holding_bench(token: str) -> str:
	"""The bench_id in a token of this tool: of the bench whose restart or drain suspended; else empty."""
	return token.removeprefix(TOKEN_PREFIX).rpartition(":")[0] if token.startswith(TOKEN_PREFIX) else ""


def describe_holder(token: str, bench_id: str) -> tuple[str, str]:
	"""Who suspended the queues of this bench, as the end of a sentence, and what to do about it."""
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
	"""Keeps the bench's workers from taking new jobs, from `take` to `release`.

	A foreign suspension is never touched: its token is in `foreign`, and it still stands after `release`. If it ends
	before, a suspension of our own takes its place. A thread renews the lease, so that it does not lapse in a slow
	step. That thread calls `on_change` with a sentence when the suspension got another owner, or lapsed and was taken
	again.
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
		"""Suspend, or note in `foreign` who has suspended already. Raises RedisError where Redis does not answer.

		The caller has the bench's lock. So a suspension of this bench that stands already was left behind by a dead
		helper, and is taken over.
		"""
		holder = self._take(keys=[keys.SUSPENDED], args=[self.token, LEASE_SECONDS * 1000, self.prefix])
		self.foreign = holder if holder != self.token else None
		self.is_held = True
		# A lease that is taken again, for instance after Redis was away, keeps its one thread: a second thread would
		# outlive the release and could suspend anew.
		if not (self._thread and self._thread.is_alive()):
			self._stop.clear()
			self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
			self._thread.start()

	@property
	def holder(self) -> str:
		"""The token of the suspension, as it was found or set when the lease was last taken or renewed."""
		return self.foreign or self.token

	def release(self) -> None:
		"""End the suspension, if this lease owns it; does nothing the second time. Never raises.

		Where Redis does not answer, the suspension lapses by itself after LEASE_SECONDS.
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
				continue  # the next round tries again; the drain notices by itself that Redis is away
			before, self.foreign = self.foreign, answer if answer not in ("held", "retaken") else None
			if before is None and answer == "retaken":
				self.on_change("the suspension had lapsed or was removed, and was taken again")
			elif before and not self.foreign:
				self.on_change(f"the suspension of {before!r} ended, and ours took its place")
			elif self.foreign != before:
				self.on_change(f"the suspension now belongs to {self.foreign!r}; it is respected")
