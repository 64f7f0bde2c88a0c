"""Whatever dies, the bench comes back working: the guard, recovery, Redis and suspensions that vanish."""

import os
import shutil
import signal
import time

import psutil
import pytest

from safe_restart.engine.journal import Journal
from safe_restart.engine.recovery import Way, way_on
from safe_restart.engine.strategies import STRATEGIES

from .conftest import assert_bench_is_healthy, cli, run_long, start_cli, wait_for, worker_pids


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_request_is_unwound_before_anything_irrevocable_and_finished_after(strategy):
	steps = STRATEGIES[strategy].steps
	for reached in range(len(steps) + 1):
		way = way_on(strategy, steps[:reached])
		before_drain = reached <= steps.index("drain")
		if before_drain:
			assert way is Way.UNWIND
		elif strategy == "wait-workers":
			assert way is (Way.FINISH if "stop" in steps[:reached] else Way.UNWIND)
		else:
			assert way is Way.FINISH


def test_a_hold_is_always_unwound():
	assert way_on("drain", ["preflight", "suspend", "drain", "hold"]) is Way.UNWIND


def helper(demo) -> psutil.Process:
	"""The process that carries out the newest request."""
	wait_for(lambda: Journal(demo.bench).requests(1) and Journal(demo.bench).requests(1)[0].helper_pid)
	return psutil.Process(Journal(demo.bench).requests(1)[0].helper_pid)


def newest(demo):
	return Journal(demo.bench).requests(1)[0]


def test_when_the_helper_is_killed_while_jobs_finish_its_guard_unwinds_within_two_seconds(demo):
	before = worker_pids(demo)
	jobs = run_long(demo, 3, 6)
	process = start_cli(demo, "--wait-workers", "--json")
	wait_for(lambda: demo.redis.exists("rq:suspended"))
	time.sleep(0.2)
	since = time.monotonic()
	helper(demo).kill()
	wait_for(lambda: not demo.redis.exists("rq:suspended"))
	assert time.monotonic() - since < 8  # the guard pauses half a second; a busy machine needs the rest
	out, err = process.communicate(timeout=60)
	assert process.returncode == 1, err
	assert "before anything was stopped" in out
	assert worker_pids(demo) == before
	assert_bench_is_healthy(demo, jobs)


def test_when_the_helper_is_killed_while_it_replaces_its_guard_finishes_the_restart(demo):
	before = worker_pids(demo)
	process = start_cli(demo, "--json")
	wait_for(
		lambda: (
			"replace" in [step.name for step in Journal(demo.bench).steps(newest(demo).id)]
			if Journal(demo.bench).requests(1)
			else False
		)
	)
	helper(demo).kill()
	out, err = process.communicate(timeout=60)
	assert process.returncode == 6, out + err
	assert "The helper died in replace" in out
	assert not before & worker_pids(demo)
	assert_bench_is_healthy(demo)


def test_when_helper_and_guard_are_killed_jobs_move_within_the_lease_and_recover_mends_the_rest(demo):
	jobs = run_long(demo, 1, 2)
	process = start_cli(demo, "--wait-workers")
	wait_for(lambda: demo.redis.exists("rq:suspended"))
	executor = helper(demo)
	executor.parent().kill()
	executor.kill()
	_out, err = process.communicate(timeout=30)
	assert process.returncode == 1
	assert "safe-restart recover" in err
	demo.enqueue(0.01, "after")
	wait_for(lambda: "after" in demo.runs(), seconds=35)
	assert "safe-restart recover" in cli(demo, "status").out
	recovered = cli(demo, "recover")
	assert recovered.exit_code == 0
	assert "unwound" in recovered.out
	assert "nothing to recover" in cli(demo, "recover").out
	assert_bench_is_healthy(demo, [*jobs, "after"])


def test_the_next_restart_recovers_what_the_last_one_left(demo):
	process = start_cli(demo, "--wait-workers")
	wait_for(lambda: demo.redis.exists("rq:suspended"))
	executor = helper(demo)
	executor.parent().kill()
	executor.kill()
	process.communicate(timeout=30)
	assert cli(demo).exit_code == 0
	assert [request.status for request in Journal(demo.bench).requests()] == ["completed", "failed"]
	assert_bench_is_healthy(demo)


def test_a_terminated_helper_cancels_while_it_can(demo):
	jobs = run_long(demo, 1, 6)
	process = start_cli(demo, "--wait-workers")
	wait_for(lambda: demo.redis.exists("rq:suspended"))
	helper(demo).parent().send_signal(signal.SIGTERM)
	process.communicate(timeout=30)
	assert process.returncode == 5
	assert_bench_is_healthy(demo, jobs)


def test_a_suspension_that_is_removed_during_the_drain_is_taken_again(demo):
	jobs = run_long(demo, 1, 6)
	process = start_cli(demo, "--wait-workers", "--json", "--wait-workers-verbose")
	wait_for(lambda: demo.redis.exists("rq:suspended"))
	time.sleep(0.3)
	demo.redis.delete("rq:suspended")
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
		shutil.rmtree(demo.path / "config/appendonlydir")
	jobs = run_long(demo, 1, 4) if keeps_data else []
	watch = demo.watch()
	process = start_cli(demo, "--wait-workers", "--json", "--wait-workers-verbose")
	wait_for(lambda: newest_steps(demo) and "drain" in newest_steps(demo))
	os.kill(next(s.pid for s in watch.manager.services() if s.kind == "redis"), signal.SIGKILL)
	out, err = process.communicate(timeout=90)
	assert process.returncode in (0, 6), out + err
	demo.enqueue(0.01, "after")
	assert_bench_is_healthy(demo, [*jobs, "after"])


def newest_steps(demo) -> list[str]:
	journal = Journal(demo.bench)
	return [step.name for step in journal.steps(journal.requests(1)[0].id)] if journal.requests(1) else []
