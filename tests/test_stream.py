"""A stream of tiny jobs is where a careless stop loses one: SIGTERM loses 4 to 11 in 60 (FACTS 1.2)."""

import os
import threading
import time

import pytest

from safe_restart.demo.bench import DemoBench, Workers

from .conftest import assert_bench_is_healthy, cli, wait_for

pytestmark = pytest.mark.engine

# Few in every run of the tests; `make test-stream RESTARTS=100` runs as many as asked.
RESTARTS = int(os.environ.get("SAFE_RESTART_STREAM_RESTARTS", "3"))
JOB_SECONDS = 0.002
ENOUGH_WAITING = 60


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


@pytest.mark.parametrize("queues", ["short,default,long", "default"])
@pytest.mark.parametrize("strategy", [(), ("--wait-workers",)], ids=["rolling", "wait-workers"])
def test_restarts_under_a_stream_of_tiny_jobs_lose_nothing_and_run_nothing_twice(make_demo, strategy, queues):
	demo = make_demo(workers=(Workers(queues=queues, count=3),), web=False, boot_seconds=0)
	found = 0
	with Stream(demo) as stream:
		for _ in range(RESTARTS):
			done = cli(demo, *strategy, "--json")
			assert done.exit_code == 0, done.text
			assert done.json["workers"]["replaced"] == 3
			found += done.json["jobs"]["lost_and_found"] + done.json["jobs"]["interrupted"]
	assert_bench_is_healthy(demo, stream.names)
	# Nothing had to be rescued: no stop lost a job in the first place.
	assert found == 0
	print(
		f"{RESTARTS} restarts, {3 * RESTARTS} worker stops, {len(stream.names)} jobs: 0 lost, 0 twice, 0 rescued"
	)
