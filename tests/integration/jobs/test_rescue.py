"""Interrupted and lost jobs are found and run again, each once."""

import json
import signal
import time

import psutil
import pytest
from rq import VERSION as RQ_VERSION

from safe_restart.engine.core.settings import Settings
from safe_restart.engine.jobs import held, rescue
from safe_restart.engine.jobs.rescue import find_suspects
from safe_restart.engine.processes import tree
from tests.support.cli import cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import end_jobs, run_long
from tests.support.waiting import wait_for

pytestmark = pytest.mark.engine


def kill_worker_and_horse(demo) -> None:
	"""As an out-of-memory kill or a power cut would: nobody says goodbye."""
	(worker, _job), *_ = demo.fleet_reader().read().running
	process = psutil.Process(worker.pid)
	family = [process, *process.children(recursive=True)]
	for member in family:
		member.send_signal(signal.SIGSTOP)
	for member in family:
		member.kill()
	wait_for(lambda: not any(map(tree.is_alive, family)), "they are gone")
	wait_for(lambda: not demo.fleet_reader().read().running, "their job is seen to run nowhere")


def settle(demo, action="requeue"):
	notes = []
	return rescue.rescue(demo.fleet_reader(), action, "a test", notes.append), notes


def test_a_job_whose_worker_was_killed_runs_again_once_and_is_never_called_abandoned(quiet_demo):
	demo = quiet_demo
	jobs = run_long(demo, 1, 1.5)
	kill_worker_and_horse(demo)
	done, notes = settle(demo)
	assert len(done.requeued) == 1 and done.interrupted == 1
	assert "put back at the front" in notes[0] and "first time" in notes[0]
	wait_for(lambda: set(demo.runs()) == set(jobs))
	wait_for(lambda: not demo.fleet_reader().read().running, "the job has left the registry")
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


def test_a_job_that_its_worker_had_only_registered_is_found(quiet_demo):
	demo = quiet_demo
	busy = run_long(demo, 1, 2)
	lost, queue = demo.enqueue(0.01, "lost"), f"{demo.path.name}:default"
	demo.redis.lrem(f"rq:queue:{queue}", 0, lost)
	member = lost if RQ_VERSION.startswith("1.") else f"{lost}:execution"
	demo.redis.zadd(f"rq:wip:{queue}", {member: time.time() + 1000})
	done, _ = settle(demo)
	assert done.lost_and_found == [lost]
	assert_bench_is_healthy(demo, [*busy, "lost"])


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
	assert (
		find_suspects(
			quiet_demo.bench, quiet_demo.fleet_reader().rq_reader.redis, quiet_demo.fleet_reader().read()
		).queued
		== set()
	)
	redis.delete("rq:job:x::1")


def configure(demo, **settings) -> None:
	path = demo.path / "sites/common_site_config.json"
	path.write_text(json.dumps({**json.loads(path.read_text()), "safe_restart": settings}))


def interrupt(demo, attempt: int):
	wait_for(lambda: demo.runs("begin")["long-0"] == attempt)
	kill_worker_and_horse(demo)
	return settle(demo)


def test_a_job_killed_on_three_attempts_is_held_with_who_when_and_why(quiet_demo):
	demo = quiet_demo
	configure(demo, retry_delays_seconds=[])
	run_long(demo, 1, 30)
	for attempt in range(1, Settings.max_attempts + 1):
		done, notes = interrupt(demo, attempt)
		assert bool(done.held) is (attempt == Settings.max_attempts), notes
	(held,) = cli(demo, "jobs", "--json").json["jobs"]
	assert held["kind"] == "held"
	assert held["method"] == "demo.work_for"
	assert (held["who"], held["why"]) == ("a test", "interrupted for the third time")
	assert held["at"].startswith("20")
	assert "interrupted for the third time" in cli(demo, "jobs").out


def test_a_delayed_job_is_released_when_it_is_due_and_never_twice(quiet_demo):
	demo = quiet_demo
	configure(demo, retry_delays_seconds=[8])
	jobs = run_long(demo, 1, 1)
	done, notes = interrupt(demo, 1)
	assert len(done.delayed) == 1 and "after a pause" in notes[0]
	redis = demo.fleet_reader().rq_reader.redis
	assert held.release_due(demo.bench, redis) == []
	(delayed,) = cli(demo, "jobs", "--json").json["jobs"]
	assert delayed["kind"] == "delayed"
	assert 0 < held.seconds_to_next_due(demo.bench, redis) <= 9  # up to a tenth more, in whole seconds
	released: list[str] = []
	wait_for(lambda: released.extend(held.release_due(demo.bench, redis)) or released, "it is due")
	assert released == done.delayed
	assert held.release_due(demo.bench, redis) == []
	assert_bench_is_healthy_after_kill(demo, jobs)


def assert_bench_is_healthy_after_kill(demo, jobs) -> None:
	wait_for(lambda: set(demo.runs()) >= set(jobs))
	settle(demo)
	assert_bench_is_healthy(demo, jobs, interrupted=jobs)


def test_the_helper_stays_until_the_jobs_it_delayed_are_queued_again(demo):
	configure(demo, retry_delays_seconds=[2])
	jobs = run_long(demo, 1, 60)
	done = cli(demo, "--now", "--force-kill-timeout", "0", "--json")
	assert done.exit_code == 0, done.text
	assert (done.json["jobs"]["requeued"], done.json["jobs"]["delayed"]) == (0, 1)
	end_jobs(demo)
	assert_bench_is_healthy(demo, jobs, interrupted=jobs)


def test_a_held_job_is_queued_again_or_discarded_by_a_person(quiet_demo):
	demo = quiet_demo
	configure(demo, job_policy={"demo.work_for": "hold"})
	jobs = run_long(demo, 1, 1)
	done, _ = interrupt(demo, 1)
	(job_id,) = done.held
	assert cli(demo, "jobs", "requeue", "nothing").exit_code == 2
	assert cli(demo, "jobs", "requeue", job_id).exit_code == 0
	assert cli(demo, "jobs", "requeue", job_id).exit_code == 2
	assert_bench_is_healthy_after_kill(demo, jobs)

	demo.enqueue(30, "unwanted")
	wait_for(lambda: demo.runs("begin")["unwanted"] == 1)
	kill_worker_and_horse(demo)
	(job_id,) = settle(demo)[0].held
	assert cli(demo, "jobs", "discard", job_id).exit_code == 0
	assert cli(demo, "jobs", "--json").json["jobs"] == []
	assert sum(queue.failed for queue in demo.fleet_reader().read().snapshot.queues) == 1


def test_a_started_job_that_stands_in_no_registry_is_found(quiet_demo):
	demo = quiet_demo
	jobs = run_long(demo, 1, 1.5)
	kill_worker_and_horse(demo)
	demo.redis.delete(f"rq:wip:{demo.path.name}:default")
	done, _ = settle(demo)
	assert len(done.requeued) == 1
	assert_bench_is_healthy_after_kill(demo, jobs)


def test_a_job_whose_horse_lives_on_as_an_orphan_is_not_run_beside_it(quiet_demo):
	demo = quiet_demo
	jobs = run_long(demo, 1, 3)
	(worker, _job), *_ = demo.fleet_reader().read().running
	process = psutil.Process(worker.pid)
	process.kill()
	wait_for(lambda: not tree.is_alive(process), "the worker is gone")
	done, notes = settle(demo)
	assert done.requeued == []
	assert len(done.still_running) == 1
	assert "left to finish" in notes[0]
	wait_for(lambda: set(demo.runs()) == set(jobs))
	assert demo.runs("begin") == {"long-0": 1}
