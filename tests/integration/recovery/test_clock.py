"""The system clock may be set at any time, by NTP or by hand: nothing is decided by comparing it with what it was."""

import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import psutil
import pytest

from safe_restart.engine.jobs.rescue import rescue
from safe_restart.engine.processes import tree
from safe_restart.engine.state.journal import Journal
from tests.faults.clock import Clock, compiler
from tests.support.cli import cli, start_cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import run_long
from tests.support.restarts import worker_pids
from tests.support.waiting import wait_for


def shift_births(demo, hours: int) -> None:
	"""What a clock that was set shows: processes started by the new clock, registrations written by the old one."""
	for key in demo.redis.smembers("rq:workers"):
		birth = datetime.fromisoformat(demo.redis.hget(key, "birth").decode().replace("Z", "+00:00"))
		moved = (birth + timedelta(hours=hours)).astimezone(timezone.utc)
		demo.redis.hset(key, "birth", moved.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


@pytest.mark.parametrize("hours", [-1, 1])
def test_workers_that_live_are_never_taken_for_dead_after_the_clock_was_set(demo, hours):
	jobs = run_long(demo, 2, 2)
	shift_births(demo, hours)
	fleet = demo.fleet_reader().read()
	assert len(fleet.workers) == 3 and not fleet.stale
	done = rescue(demo.fleet_reader(), "requeue", "a test", lambda sentence: None)
	assert not done.requeued
	restarted = cli(demo, "--json")
	assert restarted.json["workers"]["replaced"] == 3, restarted.text
	assert_bench_is_healthy(demo, jobs)


def test_of_two_registrations_with_one_pid_the_older_is_dead(demo):
	key = sorted(demo.redis.smembers("rq:workers"))[0]
	fields = demo.redis.hgetall(key)
	demo.redis.hset("rq:worker:of-last-boot", mapping={**fields, b"birth": b"2020-01-01T00:00:00.000000Z"})
	demo.redis.sadd("rq:workers", "rq:worker:of-last-boot")
	fleet = demo.fleet_reader().read()
	assert [worker.name for worker in fleet.stale] == ["of-last-boot"]
	assert len(fleet.workers) == 3


def test_the_start_of_a_process_does_not_depend_on_the_clock():
	process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
	try:
		began = tree.started_at(psutil.Process(process.pid))
		assert 0 <= tree.uptime() - began < 5
	finally:
		process.kill()
		process.wait()
	with pytest.raises(psutil.NoSuchProcess):
		tree.started_at(psutil.Process(process.pid))


@pytest.mark.skipif(
	not compiler(), reason="no C compiler, which builds the clock that jumps: apt-get install gcc"
)
@pytest.mark.parametrize(
	"words",
	[
		(),
		*(
			pytest.param((w,), marks=pytest.mark.slow("another strategy"))
			for w in ("--wait-workers", "--migrate")
		),
	],
)
@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_helper_whose_clock_jumps_replaces_every_worker_once(demo, seconds, words, tmp_path, monkeypatch):
	clock = Clock(tmp_path)
	for name, value in clock.environment.items():
		monkeypatch.setenv(name, value)
	old = worker_pids(demo)
	jobs = run_long(demo, 2, 2)
	journal = Journal(demo.bench)

	process = start_cli(demo, *words, "--json")
	wait_for(lambda: journal.requests(1) and len(journal.steps(journal.requests(1)[0].id)) > 2)
	clock.jump(seconds)
	assert not journal.is_abandoned(journal.requests(1)[0])
	out, err = process.communicate(timeout=60)

	assert process.returncode == 0, out + err
	assert json.loads(out)["workers"] == {"before": 3, "after": 3, "replaced": 3, "still_old": 0}
	assert abs(json.loads(out)["seconds"] - max(seconds, 0)) < 60, "the helper's clock did not jump"
	assert not old & worker_pids(demo)
	assert_bench_is_healthy(demo, jobs)
