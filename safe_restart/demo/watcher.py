"""What is noticed from outside while a bench is restarted, looked at every 20 ms.

Only Redis, the web port and the process table are asked. supervisord is not: each question wakes it, and it would then
notice exits earlier than it does for whoever is measured.
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
class Seen:
	"""Seconds; `whole` counts from the start of the restart and is None where the bench was never whole again."""

	whole: float | None
	web_outage: float
	longest_without_worker: float


class Watcher:
	"""Watches one restart, from entering the context until `wait` returns.

	A worker takes jobs if its process lives, it was not told to stop, and nothing is suspended: one that is in its last
	job does not count. The bench is whole once every worker is new and takes jobs, and the web, if any, answers 200.
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

	def wait(self) -> Seen:
		"""Wait until the bench is whole, at most WHOLE_TIMEOUT_SECONDS. Call it once the commands have ended."""
		deadline = time.monotonic() + WHOLE_TIMEOUT_SECONDS
		# A look that began after the commands ended must agree, hence the two samples.
		time.sleep(2 * SAMPLE_SECONDS)
		while (whole_since := self.whole_since) is None and time.monotonic() < deadline:
			time.sleep(SAMPLE_SECONDS)
		whole = None if whole_since is None else round(whole_since - self.began, 3)
		return Seen(whole, self.probe.outage_ms / 1000, round(self.longest_gap, 3))

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
		except RedisError:  # nobody can take a job
			return []
		if snapshot.suspended_by:
			return []
		return [
			worker
			for worker in snapshot.workers
			if not (worker.is_suspended or worker.shutdown_requested) and self.demo.lives(worker)
		]
