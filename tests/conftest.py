"""Real Redis, RQ, gunicorn and supervisord for each test, and one question that each ends with."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
import pytest
from hypothesis import HealthCheck, settings

from safe_restart.demo import app
from safe_restart.demo.bench import DemoBench, Workers
from safe_restart.engine.jobs.rescue import find_suspects
from safe_restart.engine.processes import tree
from safe_restart.engine.state.journal import Journal
from safe_restart.engine.web import health as web_health

WAIT_SECONDS = 40
# A worker that was alive when a restart began is old; boot times are short, as nothing here depends on them.
BOOT_SECONDS = 0.3

# A busy machine is no fault of the code, and what failed is printed, so nothing has to be kept.
settings.register_profile(
	"patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None, print_blob=True
)
settings.load_profile("patient")


@dataclass
class Cli:
	"""What a finished command line said."""

	exit_code: int
	out: str
	err: str
	seconds: float

	@property
	def json(self) -> dict:
		return json.loads(self.out)

	@property
	def text(self) -> str:
		return self.out + self.err


def start_cli(demo: DemoBench, *words: str, **where: str) -> subprocess.Popen:
	return subprocess.Popen(
		demo.command(*words, **where),
		stdin=subprocess.DEVNULL,
		stdout=subprocess.PIPE,
		stderr=subprocess.PIPE,
		text=True,
		preexec_fn=hear_signals,
	)


def hear_signals() -> None:
	"""Tests in the background of a shell ignore SIGINT, under nohup SIGHUP, and their children would inherit that."""
	for number in (signal.SIGINT, signal.SIGHUP):
		signal.signal(number, signal.SIG_DFL)


def cli(demo: DemoBench, *words: str, timeout_seconds: float = 90, **where: str) -> Cli:
	"""Run the command line to its end; a traceback is never an answer."""
	since = time.monotonic()
	process = start_cli(demo, *words, **where)
	out, err = process.communicate(timeout=timeout_seconds)
	assert "Traceback" not in out + err, out + err
	return Cli(process.returncode, out, err, time.monotonic() - since)


def wait_for(condition: Callable[[], object], what: str = "", seconds: float = WAIT_SECONDS) -> None:
	deadline = time.monotonic() + seconds
	while not condition():
		assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what or condition}"
		time.sleep(0.02)


def run_long(demo: DemoBench, count: int, seconds: float, **kwargs) -> list[str]:
	"""Enqueue long jobs and wait until they run; returns their names."""
	names = [f"long-{number}" for number in range(count)]
	before = sum(demo.runs("begin").values())
	for name in names:
		demo.enqueue(seconds, name, **kwargs)
	wait_for(lambda: sum(demo.runs("begin").values()) == before + count, "long jobs begin")
	return names


def start_draining(demo: DemoBench, *words: str) -> subprocess.Popen:
	"""Start a restart that waits for running jobs, and return once it holds new ones back."""
	process = start_cli(demo, "--wait-workers", *words)
	wait_for(lambda: demo.redis.exists("rq:suspended"), "the queues are suspended")
	return process


def helper_of(demo: DemoBench) -> psutil.Process:
	"""The process that carries out the newest request, once there is one."""

	def pid() -> int | None:
		newest = Journal(demo.bench).requests(1)
		return newest[0].helper_pid if newest else None

	wait_for(pid, "a helper has begun")
	return psutil.Process(pid())


def worker_pids(demo: DemoBench) -> set[int]:
	return {service.pid for service in demo.fleet_reader().manager.services() if service.kind == "workers"}


def assert_bench_is_healthy(
	demo: DemoBench, jobs: list[str] = (), interrupted: list[str] = (), down: list[str] = ()
) -> None:
	"""What must be true after any restart, however it went.

	No suspension; every job done exactly once (an interrupted one ended once, however often it began); nothing
	failed, lost or half started; all services up but those that a person keeps `down`, all workers registered, no ghost
	and no orphan.
	"""
	wait_for(lambda: set(demo.runs()) >= set(jobs), f"jobs done: {set(jobs) - set(demo.runs())}")
	begun, ended = demo.runs("begin"), demo.runs("end")
	assert {name: ended[name] for name in jobs} == dict.fromkeys(jobs, 1)
	uninterrupted = [name for name in jobs if name not in interrupted]
	assert {name: begun[name] for name in uninterrupted} == dict.fromkeys(uninterrupted, 1)

	fleet_reader = demo.fleet_reader()
	wait_for(lambda: len(fleet_reader.read().workers) == demo.all_workers, "all workers registered")
	wait_for(lambda: not fleet_reader.read().running, "no job runs")
	wait_for(
		lambda: {s.name for s in fleet_reader.manager.services() if s.state != "running"} == set(down),
		"all run",
	)
	fleet = fleet_reader.read()
	assert fleet.snapshot.suspended_by is None
	assert not fleet.stale
	assert not fleet.unmanaged
	for queue in fleet.snapshot.queues:
		assert (queue.depth, queue.started, queue.intermediate, queue.failed) == (0, (), 0, 0), queue
	suspects = find_suspects(demo.bench, fleet_reader.rq_reader.redis, fleet)
	assert not suspects.queued and not suspects.started
	assert orphans(demo) == []
	if demo.web:
		assert web_health.ask(demo.bench, app.SITE).is_ok


def orphans(demo: DemoBench) -> list[psutil.Process]:
	"""Processes of the bench that neither supervisord nor this test keeps."""
	found = []
	for process in tree.inside(demo.path):
		ancestors = tree.ancestors(process)
		if not {*demo.manager_pids, os.getpid()} & set(ancestors):
			found.append(process)
	return found


@pytest.fixture
def make_demo() -> Iterator[Callable[..., DemoBench]]:
	"""Makes benches that end with the test."""
	made = []

	def make(tinker: Callable[[DemoBench], None] | None = None, **kwargs) -> DemoBench:
		"""`tinker` changes the files of the bench, before it is started."""
		demo = DemoBench(**{"boot_seconds": BOOT_SECONDS, **kwargs})
		made.append(demo)
		if not tinker:
			return demo.__enter__()
		demo.write()
		tinker(demo)
		demo.start()
		return demo

	yield make
	for demo in made:
		demo.end()


@pytest.fixture
def demo(make_demo) -> DemoBench:
	"""A bench with three workers on the same queues, gunicorn and a scheduler."""
	return make_demo()


@pytest.fixture
def quiet_demo(make_demo) -> DemoBench:
	"""A bench without web, with one worker."""
	return make_demo(workers=(Workers(count=1),), web=False)
