"""What the bench does while it is restarted: nothing, long jobs, or a stream of tiny ones. Each run has its own bench."""

import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import pairwise

from redis.exceptions import RedisError

from safe_restart.demo.bench import DemoBench
from safe_restart.demo.watcher import WHOLE_TIMEOUT_SECONDS, Watcher
from safe_restart.engine.processes.tree import ancestors, inside, is_alive
from safe_restart.engine.rq.keys import queue_key
from safe_restart.engine.state.journal import Journal

from . import methods
from .benches import HOSTS, SUPERVISOR, SYSTEMD, bench_under
from .fates import settle
from .table import middle

LONG_JOBS, LONG_SECONDS = 3, 8
SHORT_JOBS, SHORT_SECONDS = 200, 0.01
TINY_SECONDS = 0.005
ENOUGH_WAITING = 50  # no worker ever waits for a job, and yet the end comes soon after the last restart
STREAM_PAUSE_SECONDS = 0.1
POLL_SECONDS = 0.02
ORPHAN_SECONDS = 0.2
WAIT_SECONDS = 60


def idle(method: str) -> dict:
	"""Nothing runs and nothing waits."""
	with miniature() as demo:
		return restart(method, demo)


def busy(method: str) -> dict:
	"""Every worker is in a long job and short ones wait."""
	return load(method, SUPERVISOR)


def systemd(method: str) -> dict:
	"""As busy, where services are units as bench writes them: a stop kills workers with their jobs (FACTS 1.6)."""
	return load(method, SYSTEMD)


def load(method: str, manager: str) -> dict:
	with miniature(manager) as demo:
		long_jobs = {name: demo.enqueue(LONG_SECONDS, name) for name in names("long", LONG_JOBS)}
		wait_for(lambda: len(demo.runs("begin")) == LONG_JOBS)
		short_jobs = {name: demo.enqueue(SHORT_SECONDS, name) for name in names("short", SHORT_JOBS)}
		noticed = restart(method, demo)
		fates = settle(demo, long_jobs | short_jobs)
		return noticed | {"next_job": last_end_to_next_begin(demo, long_jobs)} | asdict(fates)


def stream(method: str, restarts: int) -> dict:
	"""Tiny jobs come in all the time: a careless stop loses one between the queue and the work-horse."""
	return flood(method, restarts, SUPERVISOR)


def hosts(method: str, restarts: int) -> dict:
	"""As stream, with twelve workers on three hosts, which are reached through Redis alone."""
	return flood(method, restarts, HOSTS)


def flood(method: str, restarts: int, manager: str) -> dict:
	noticed, began = [], []
	with miniature(manager) as demo:
		with Stream(demo) as tiny:
			for _ in range(restarts):
				time.sleep(STREAM_PAUSE_SECONDS)
				began.append(time.time())
				noticed.append(restart(method, demo))
			time.sleep(STREAM_PAUSE_SECONDS)
		fates = settle(demo, tiny.jobs)
		return {
			"wall": middle([one["wall"] for one in noticed]),
			"whole": middle([one["whole"] for one in noticed]),
			"no_worker": middle([one["no_worker"] for one in noticed]),
			"pause": middle(longest_pauses(demo, began)),
			"orphans": sum(one["orphans"] for one in noticed),
			"problems": [text for one in noticed for text in one["problems"]],
			"worker_stops": restarts * demo.all_workers,
		} | asdict(fates)


def restart(method: str, demo: DemoBench) -> dict:
	"""Restart once and wait until the bench is whole; times are seconds."""
	with Watcher(demo) as watcher:
		wall, problems = methods.run(method, demo)
		seen = watcher.wait()
	if seen.whole is None:
		problems.append(f"the bench was not whole again after {WHOLE_TIMEOUT_SECONDS} s")
	return {
		"wall": round(wall, 3),
		"whole": seen.whole,
		"web_outage": seen.web_outage,
		"no_worker": seen.longest_without_worker,
		"orphans": orphans(demo),
		"problems": problems,
	}


def orphans(demo: DemoBench) -> int:
	"""How many processes of the bench run on that its manager does not keep: work-horses without their worker.

	Looks twice, since one that just ends has no parent either.
	"""
	keepers = demo.manager_pids
	suspects = [process for process in inside(demo.path) if not keepers & set(ancestors(process))]
	time.sleep(ORPHAN_SECONDS if suspects else 0)
	return sum(is_alive(process) and not keepers & set(ancestors(process)) for process in suspects)


@contextmanager
def miniature(manager: str = SUPERVISOR):
	"""A fresh bench with the demo's defaults, which ends once no helper looks after it any more."""
	with bench_under(manager) as demo:
		yield demo
		journal = Journal(demo.bench)
		wait_for(lambda: not journal.open_requests())


class Stream:
	"""Keeps ENOUGH_WAITING tiny jobs waiting from entering the context until leaving it; `jobs` are ids by name."""

	def __init__(self, demo: DemoBench):
		self.demo = demo
		self.jobs: dict[str, str] = {}
		self._stop = threading.Event()
		self._thread = threading.Thread(target=self._enqueue, name="stream", daemon=True)

	def __enter__(self) -> "Stream":
		self._thread.start()
		return self

	def __exit__(self, *_) -> None:
		self._stop.set()
		self._thread.join()

	def _enqueue(self) -> None:
		redis, key = self.demo.redis, queue_key(f"{self.demo.path.name}:default")
		number = 0
		while not self._stop.wait(POLL_SECONDS / 4):
			# A job that Redis did not confirm was never promised to anybody, so it is not counted.
			with suppress(RedisError):
				for _ in range(ENOUGH_WAITING - redis.llen(key)):
					number += 1
					self.jobs[f"tiny-{number}"] = self.demo.enqueue(TINY_SECONDS, f"tiny-{number}")


def names(kind: str, number: int) -> list[str]:
	return [f"{kind}-{index}" for index in range(number)]


def last_end_to_next_begin(demo: DemoBench, long_jobs) -> float | None:
	"""Seconds from the end of the last long job until the first other one begins; None where there is none."""
	ledger = demo.ledger()
	ends = [line["at"] for line in ledger if line["what"] == "end" and line["job"] in long_jobs]
	begins = [line["at"] for line in ledger if line["what"] == "begin" and line["job"] not in long_jobs]
	return min((at - max(ends) for at in begins if ends and at > max(ends)), default=None)


def longest_pauses(demo: DemoBench, began: list[float]) -> list[float]:
	"""For each restart, the longest time in seconds in which no job began."""
	begins = [line["at"] for line in demo.ledger() if line["what"] == "begin"]
	pauses = [(first, second - first) for first, second in pairwise(sorted(begins))]
	starts = [*began, float("inf")]
	return [
		max((pause for at, pause in pauses if since - STREAM_PAUSE_SECONDS < at < until), default=0.0)
		for since, until in pairwise(starts)
	]


def wait_for(condition: Callable[[], bool]) -> None:
	deadline = time.monotonic() + WAIT_SECONDS
	while not condition():
		if time.monotonic() > deadline:
			raise TimeoutError(f"The bench in miniature did not get ready in {WAIT_SECONDS} s.")
		time.sleep(POLL_SECONDS)
