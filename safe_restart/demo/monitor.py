"""Watching a miniature bench from outside while something restarts it: what a user of the site would notice."""

import threading
import time
from dataclasses import dataclass

import psutil

from ..engine import web
from ..engine.queues import Observer, connect
from . import app
from .bench import DemoBench

SAMPLE_SECONDS = 0.02


@dataclass(frozen=True)
class Seen:
	"""What was noticed; seconds are sums or, where it says longest, single stretches."""

	web_outage_seconds: float
	longest_without_worker_seconds: float


class Monitor:
	"""Samples web and workers every 20 ms between `start` and `stop`."""

	def __init__(self, demo: DemoBench):
		self.demo = demo
		self.probe = web.Probe(demo.bench, app.SITE)
		self.observer = Observer(demo.bench, connect(demo.bench))
		self.longest_gap = 0.0
		self._stop = threading.Event()
		self._thread = threading.Thread(target=self._sample, name="monitor", daemon=True)

	def start(self) -> None:
		if self.demo.web:
			self.probe.start()
		self._thread.start()

	def stop(self) -> Seen:
		self._stop.set()
		self._thread.join()
		if self.demo.web:
			self.probe.stop()
		return Seen(self.probe.outage_ms / 1000, round(self.longest_gap, 3))

	def _sample(self) -> None:
		gap_since = None
		while not self._stop.wait(SAMPLE_SECONDS):
			now = time.monotonic()
			if self._has_worker():
				gap_since = None
			else:
				gap_since = now if gap_since is None else gap_since
				self.longest_gap = max(self.longest_gap, now - gap_since)

	def _has_worker(self) -> bool:
		"""A worker is there if it is registered, its process lives, and it is idle or in a job."""
		try:
			workers = self.observer.look().workers
		except Exception:  # Redis away: nobody can be served
			return False
		return any(
			worker.state in ("idle", "busy", "started") and psutil.pid_exists(worker.pid)
			for worker in workers
		)
