"""Measures a restart from outside: it polls Redis, the web and the process table every 20 ms.

It does not poll supervisord. Each call wakes supervisord, which would then notice exits earlier than it does
without being measured (FACTS 2).
"""

import threading
import time
from dataclasses import dataclass

from redis.exceptions import RedisError

from ..engine.rq.snapshot import RqReader, Worker
from ..engine.web import health as web_health
from . import app
from .bench import DemoBench

SAMPLE_SECONDS = 0.02
WHOLE_TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Measured:
	"""What was measured, in seconds.

	`whole`: from the start until the bench was whole again; None where it never was.
	"""

	whole: float | None
	web_outage: float
	longest_without_worker: float


class Watcher:
	"""Watches one restart, from entering the context until `wait` returns.

	A worker takes jobs if its process lives, it was not asked to stop, and the queues are not suspended; a
	worker in its last job does not count. The bench is whole when every worker is new and takes jobs, and the
	web, if any, answers 200.
	"""

	def __init__(self, demo: DemoBench):
		self.demo = demo
		self.rq_reader = RqReader(demo.bench)
		self.probe = web_health.Probe(demo.bench, app.SITE)
		self.old = {worker.name for worker in self._takers()}
		self.whole_since: float | None = None
		self.longest_gap = 0.0
		self._stop = threading.Event()
		self._thread = threading.Thread(target=self._sample, name="watcher", daemon=True)

	def __enter__(self) -> "Watcher":
		self.began = time.monotonic()
		if self.demo.web:
			self.probe.start()
		self._thread.start()
		return self

	def __exit__(self, *_: object) -> None:
		self._stop.set()
		self._thread.join()
		if self.demo.web:
			self.probe.stop()
		self.rq_reader.redis.close()

	def wait(self) -> Measured:
		"""Wait until the bench is whole, at most WHOLE_TIMEOUT_SECONDS.

		Call it once the commands have ended.
		"""
		deadline = time.monotonic() + WHOLE_TIMEOUT_SECONDS
		# A sample that began after the commands ended must agree, so wait for two.
		time.sleep(2 * SAMPLE_SECONDS)
		while (whole_since := self.whole_since) is None and time.monotonic() < deadline:
			time.sleep(SAMPLE_SECONDS)
		whole = None if whole_since is None else round(whole_since - self.began, 3)
		return Measured(whole, self.probe.outage_ms / 1000, round(self.longest_gap, 3))

	def _sample(self) -> None:
		gap_since = None
		while not self._stop.wait(SAMPLE_SECONDS):
			now = time.monotonic()
			takers = {worker.name for worker in self._takers()}
			is_whole = len(takers) == len(self.old) and not takers & self.old and not self.probe.down_since
			self.whole_since = (self.whole_since or now) if is_whole else None
			gap_since = None if takers else gap_since or now
			self.longest_gap = max(self.longest_gap, now - gap_since if gap_since else 0)

	def _takers(self) -> list[Worker]:
		try:
			snapshot = self.rq_reader.snapshot()
		except RedisError:  # no worker can take a job
			return []
		if snapshot.suspended_by:
			return []
		return [
			worker
			for worker in snapshot.workers
			if not (worker.is_suspended or worker.shutdown_requested) and self.demo.lives(worker)
		]
