"""Whatever dies, the bench comes back working: the guard, recovery, Redis and suspensions that vanish."""

import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from safe_restart.engine.state.journal import Journal
from tests.support.cli import cli, start_cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import end_jobs, run_long
from tests.support.restarts import helper_of, start_draining, wait_for_step, worker_pids
from tests.support.waiting import wait_for


def test_when_the_helper_is_killed_while_jobs_finish_its_guard_rolls_back_soon(demo):
	before = worker_pids(demo)
	jobs = run_long(demo, 3, 60)
	process = start_draining(demo, "--json")
	wait_for_step(demo, "drain")
	since = time.monotonic()
	helper_of(demo).kill()
	wait_for(lambda: not demo.redis.exists("rq:suspended"))
	assert time.monotonic() - since < 8  # the guard pauses half a second; a busy machine needs the rest
	out, err = process.communicate(timeout=60)
	assert process.returncode == 1, err
	assert "before anything was stopped" in out
	assert worker_pids(demo) == before
	end_jobs(demo)
	assert_bench_is_healthy(demo, jobs)


def test_when_the_helper_is_killed_while_it_replaces_its_guard_finishes_the_restart(demo):
	before = worker_pids(demo)
	process = start_cli(demo, "--json")
	wait_for_step(demo, "replace")
	helper_of(demo).kill()
	out, err = process.communicate(timeout=60)
	assert process.returncode == 6, out + err
	assert "The helper died in replace" in out
	assert not before & worker_pids(demo)
	assert_bench_is_healthy(demo)


def test_when_helper_and_guard_are_killed_jobs_move_within_the_lease(demo):
	jobs = run_long(demo, 1, 2)
	process = start_draining(demo)
	executor = helper_of(demo)
	executor.parent().kill()
	executor.kill()
	_out, err = process.communicate(timeout=30)
	assert process.returncode == 1
	assert "safe-restart recover" in err
	demo.enqueue(0.01, "after")
	wait_for(lambda: "after" in demo.runs(), seconds=35)
	assert "safe-restart recover" in cli(demo, "status").out
	assert "safe-restart recover" in cli(demo, "doctor").out
	recovered = cli(demo, "recover")
	assert recovered.exit_code == 0
	assert "rolled back" in recovered.out
	assert "nothing to recover" in cli(demo, "recover").out
	assert_bench_is_healthy(demo, [*jobs, "after"])


def test_the_next_restart_recovers_what_the_last_one_left(demo):
	process = start_draining(demo)
	executor = helper_of(demo)
	executor.parent().kill()
	executor.kill()
	process.communicate(timeout=30)
	assert cli(demo).exit_code == 0
	assert [request.status for request in Journal(demo.bench).requests()] == ["completed", "failed"]
	assert_bench_is_healthy(demo)


def test_a_terminated_helper_cancels_while_it_can(demo):
	jobs = run_long(demo, 1, 60)
	process = start_draining(demo)
	helper_of(demo).parent().send_signal(signal.SIGTERM)
	process.communicate(timeout=30)
	assert process.returncode == 5
	end_jobs(demo)
	assert_bench_is_healthy(demo, jobs)


def test_a_suspension_that_is_removed_during_the_drain_is_taken_again(demo):
	jobs = run_long(demo, 1, 60)
	process = start_draining(demo, "--json", "--wait-workers-verbose")
	wait_for_step(demo, "drain")
	demo.redis.delete("rq:suspended")
	wait_for(lambda: demo.redis.exists("rq:suspended"), "it is taken again")
	end_jobs(demo)
	out, err = process.communicate(timeout=60)
	assert process.returncode == 0, out + err
	assert "taken again" in err
	assert_bench_is_healthy(demo, jobs)


@pytest.mark.parametrize("keeps_data", [True, False])
def test_redis_that_is_killed_and_comes_back_during_the_drain_is_survived(demo, keeps_data):
	if not keeps_data:
		demo.redis.config_set("appendonly", "no")
		demo.redis.config_set("save", "")
		config = demo.path / "config/redis_queue.conf"
		config.write_text(
			config.read_text().replace("appendonly yes", "appendonly no").replace("save 60 1", 'save ""')
		)
		# Redis 7 and later keep a folder, those before it one file.
		shutil.rmtree(demo.path / "config/appendonlydir", ignore_errors=True)
		(demo.path / "config/appendonly.aof").unlink(missing_ok=True)
	jobs = run_long(demo, 1, 4) if keeps_data else []
	fleet_reader = demo.fleet_reader()
	process = start_cli(demo, "--wait-workers", "--json", "--wait-workers-verbose")
	wait_for_step(demo, "drain")
	os.kill(next(s.pid for s in fleet_reader.manager.services() if s.kind == "redis"), signal.SIGKILL)
	out, err = process.communicate(timeout=90)
	assert process.returncode in (0, 6), out + err
	demo.enqueue(0.01, "after")
	assert_bench_is_healthy(demo, [*jobs, "after"])


def test_a_helper_that_is_dead_but_not_reaped_has_left_its_request(quiet_demo):
	journal = Journal(quiet_demo.bench)
	request = journal.add("rolling", {}, "somebody")
	program = (
		"import sys; from safe_restart.engine.core import bench; from safe_restart.engine.state.journal import Journal\n"
		"journal = Journal(bench.load(sys.argv[1])); journal.begin(sys.argv[2]); print(flush=True); input()"
	)
	words = [sys.executable, "-c", program, str(quiet_demo.path), request.id]
	helper = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
	helper.stdout.readline()
	assert not journal.is_abandoned(journal.request(request.id))
	helper.kill()
	wait_for(lambda: psutil.Process(helper.pid).status() == psutil.STATUS_ZOMBIE)
	assert journal.is_abandoned(journal.request(request.id))
	helper.wait()
