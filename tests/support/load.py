"""Jobs for a bench in miniature."""

import os
import threading
import time

from safe_restart.demo.bench import DemoBench

from .waiting import wait_for

# Few in every run of the tests; `make test-stream RESTARTS=100` runs as many as asked.
RESTARTS = int(os.environ.get("SAFE_RESTART_STREAM_RESTARTS", "3"))
JOB_SECONDS = 0.002
ENOUGH_WAITING = 60


def run_long(demo: DemoBench, count: int, seconds: float, **kwargs) -> list[str]:
	"""Enqueue long jobs and wait until they run; returns their names."""
	names = [f"long-{number}" for number in range(count)]
	before = sum(demo.runs("begin").values())
	for name in names:
		demo.enqueue(seconds, name, **kwargs)
	wait_for(lambda: sum(demo.runs("begin").values()) == before + count, "long jobs begin")
	return names


def end_jobs(demo: DemoBench) -> None:
	"""Let every job end that runs now or begins later."""
	(demo.path / "end-jobs").touch()


class Stream:
	"""Keeps some tiny jobs waiting at all times, so that every worker pops without a pause."""

	def __init__(self, demo: DemoBench):
		self.demo = demo
		self.names: list[str] = []
		self._stop = threading.Event()
		self._thread = threading.Thread(target=self._enqueue, daemon=True)

	def __enter__(self) -> "Stream":
		self._thread.start()
		wait_for(lambda: len(self.names) > ENOUGH_WAITING)
		return self

	def __exit__(self, *_) -> None:
		self._stop.set()
		self._thread.join()

	def _enqueue(self) -> None:
		redis, key = self.demo.redis, f"rq:queue:{self.demo.path.name}:default"
		while not self._stop.is_set():
			if redis.llen(key) < ENOUGH_WAITING:
				name = f"tiny-{len(self.names)}"
				self.demo.enqueue(JOB_SECONDS, name)
				self.names.append(name)
			else:
				time.sleep(0.005)
