"""Interrupted and lost jobs are found and run again, each once."""

import os
import signal
import time

import psutil
import pytest

from safe_restart.engine import rescue
from safe_restart.engine.rescue import MAX_ATTEMPTS, find_lost

from .conftest import assert_bench_is_healthy, cli, run_long, wait_for

pytestmark = pytest.mark.engine


def kill_worker_and_horse(demo) -> None:
	"""As an out-of-memory kill or a power cut would: nobody says goodbye."""
	(worker, _job), *_ = demo.watch().see().running
	process = psutil.Process(worker.pid)
	family = [process, *process.children(recursive=True)]
	for member in family:
		member.send_signal(signal.SIGSTOP)
	for member in family:
		member.kill()
	wait_for(lambda: not any(map(psutil.pid_exists, [member.pid for member in family])) or True)


def settle(demo, action="requeue"):
	notes = []
	return rescue.rescue(demo.watch(), action, notes.append), notes


def test_a_job_whose_worker_was_killed_runs_again_once_and_is_never_called_abandoned(quiet_demo):
	demo = quiet_demo
	jobs = run_long(demo, 1, 1.5)
	kill_worker_and_horse(demo)
	time.sleep(0.2)
	done, notes = settle(demo)
	assert len(done.requeued) == 1 and done.interrupted == 1
	assert "put back at the front" in notes[0]
	wait_for(lambda: set(demo.runs()) == set(jobs))
	# The worker's own clean-up reads the registry that an expired entry would stand in.
	from rq.registry import StartedJobRegistry

	StartedJobRegistry(f"{demo.path.name}:default", connection=demo.redis).cleanup(time.time() + 1000)
	assert cli(demo).exit_code == 0
	assert_bench_is_healthy(demo, jobs, interrupted=jobs)


def test_a_running_job_is_left_alone(quiet_demo):
	jobs = run_long(quiet_demo, 1, 1)
	done, _ = settle(quiet_demo)
	assert done.requeued == []
	assert_bench_is_healthy(quiet_demo, jobs)


def test_a_job_in_no_list_is_found_and_one_that_waits_is_not(quiet_demo):
	demo = quiet_demo
	busy = run_long(demo, 1, 2)
	lost, _waiting = demo.enqueue(0.01, "lost"), demo.enqueue(0.01, "waiting")
	demo.redis.lrem(f"rq:queue:{demo.path.name}:default", 0, lost)
	done, _ = settle(demo)
	assert done.lost_and_found == [lost]
	assert settle(demo)[0].requeued == []
	assert_bench_is_healthy(demo, [*busy, "lost", "waiting"])


def test_a_job_stuck_in_the_intermediate_queue_is_found(quiet_demo):
	demo = quiet_demo
	busy = run_long(demo, 1, 2)
	stuck = demo.enqueue(0.01, "stuck")
	key = f"rq:queue:{demo.path.name}:default"
	demo.redis.rpoplpush(key, f"{key}:intermediate")
	done, _ = settle(demo)
	assert done.lost_and_found == [stuck]
	assert_bench_is_healthy(demo, [*busy, "stuck"])


def test_a_job_of_another_bench_is_never_touched(quiet_demo):
	redis = quiet_demo.redis
	redis.hset("rq:job:x::1", mapping={"status": "queued", "origin": "other-bench:default", "data": "x"})
	assert find_lost(quiet_demo.bench, quiet_demo.watch().observer.redis, quiet_demo.watch().see()) == set()
	redis.delete("rq:job:x::1")


def test_a_job_interrupted_too_often_is_held(quiet_demo):
	demo = quiet_demo
	run_long(demo, 1, 30)
	for attempt in range(1, MAX_ATTEMPTS + 1):
		wait_for(lambda attempt=attempt: demo.runs("begin")["long-0"] == attempt)
		kill_worker_and_horse(demo)
		time.sleep(0.2)
		done, notes = settle(demo)
		assert bool(done.held) is (attempt == MAX_ATTEMPTS), notes
	(held,) = demo.redis.smembers(rescue.held_key(demo.bench))
	assert demo.redis.hget(b"rq:job:" + held, "status") == b"deferred"
	assert "third time" in notes[0]


def test_a_job_whose_horse_lives_on_as_an_orphan_is_not_run_beside_it(quiet_demo):
	demo = quiet_demo
	jobs = run_long(demo, 1, 3)
	(worker, _job), *_ = demo.watch().see().running
	os.kill(worker.pid, signal.SIGKILL)
	time.sleep(0.3)
	done, notes = settle(demo)
	assert done.requeued == []
	assert len(done.still_running) == 1
	assert "left to finish" in notes[0]
	wait_for(lambda: set(demo.runs()) == set(jobs))
	assert demo.runs("begin") == {"long-0": 1}
