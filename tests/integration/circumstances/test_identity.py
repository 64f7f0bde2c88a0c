"""Benches that other people have: a renamed machine, a command in a namespace of its own, programs in front of workers,
workers that hang. No job is lost or run twice, and the report says what was checked."""

import os
import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from safe_restart.demo.bench import DemoBench, Workers
from safe_restart.engine.core.environment import python_path
from tests.support.cli import cli, start_cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import run_long
from tests.support.restarts import worker_pids
from tests.support.waiting import wait_for


def rename_machine(demo: DemoBench, to: str = "as-it-was-called-before") -> None:
	"""What Redis knows of the workers is from before the machine got its present name."""
	for worker in demo.fleet_reader().read().workers:
		demo.redis.hset(f"rq:worker:{worker.name}", "hostname", to)


def in_own_namespace(demo: DemoBench, *words: str) -> subprocess.CompletedProcess:
	"""The command line in a pid namespace of its own, as in a tool container with the host's name and network."""
	command = ["unshare", "--pid", "--fork", "--mount-proc", *demo.command(*words)]
	environment = {**os.environ, "PYTHONPATH": python_path()}
	return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


needs_unshare = pytest.mark.skipif(
	os.geteuid() != 0 or not shutil.which("unshare"),
	reason="needs root and unshare: run as root, with util-linux",
)


@pytest.mark.parametrize("words", [(), ("--wait-workers",), ("--now", "--force-kill-timeout", "0")])
def test_a_machine_that_was_renamed_loses_no_job_and_is_restarted_whole(demo, words):
	jobs = run_long(demo, 2, 8)
	rename_machine(demo)
	done = cli(demo, *words, "--json")
	assert done.exit_code == 0, done.text
	assert done.json["warnings"] == []
	assert done.json["workers"] == {"before": 3, "after": 3, "replaced": 3, "still_old": 0}
	assert done.json["jobs"]["interrupted"] == (2 if "--now" in words else 0)
	assert_bench_is_healthy(demo, jobs, interrupted=jobs if "--now" in words else ())


def test_a_worker_of_another_machine_with_a_pid_of_ours_is_not_taken_for_ours(demo):
	ours = demo.fleet_reader().read().workers[0]
	other = {
		**demo.redis.hgetall(f"rq:worker:{ours.name}"),
		b"hostname": b"elsewhere",
		b"ip_address": b"10.9.9.9:1",
	}
	demo.redis.hset("rq:worker:of-another-machine", mapping=other)
	demo.redis.sadd("rq:workers", "rq:worker:of-another-machine")
	fleet = demo.fleet_reader().read()
	assert [worker.name for worker in fleet.unmanaged] == ["of-another-machine"]
	assert sorted(len(program.workers) for program in fleet.programs) == [1, 1, 1]


@needs_unshare
@pytest.mark.parametrize("words", [("--json",), ("--wait-workers", "--json"), ("drain", "--hold", "5")])
def test_a_command_that_cannot_see_the_processes_refuses_and_touches_nothing(demo, words):
	jobs, old = run_long(demo, 2, 4), worker_pids(demo)
	refused = in_own_namespace(demo, *words)
	assert refused.returncode == 2, refused.stdout + refused.stderr
	assert "cannot be seen from here" in refused.stdout + refused.stderr
	assert "Traceback" not in refused.stdout + refused.stderr
	assert worker_pids(demo) == old
	assert len(demo.fleet_reader().read().workers) == 3
	assert_bench_is_healthy(demo, jobs)


@needs_unshare
@pytest.mark.parametrize("words", [("status", "-v"), ("plan",), ("doctor",)])
def test_who_only_looks_from_another_namespace_is_told_that_it_sees_nothing(demo, words):
	told = in_own_namespace(demo, *words)
	assert "cannot be seen from here" in told.stdout + told.stderr
	assert "Traceback" not in told.stdout + told.stderr


@needs_unshare
@pytest.mark.parametrize("words", [(), ("--wait-workers",)])
def test_a_worker_in_another_namespace_keeps_its_job_and_its_registration(make_bench, words):
	"""As in a container with the host's name: its pid means nothing here, and its job is not run beside itself."""
	demo = make_bench(workers=(Workers(count=1, queues="short"),))
	worker = [str(demo.path / "env/bin/bench"), "worker", "--queue", "long"]
	command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *worker]
	contained = subprocess.Popen(command, env={**os.environ, **demo.environment}, cwd="/")
	try:
		wait_for(lambda: len(demo.fleet_reader().read().workers) == 2, "both workers registered")
		(name,) = run_long(demo, 1, 6, queue="long")
		fleet = demo.fleet_reader().read()
		assert [(one.pid, one.is_busy) for one in fleet.unmanaged] == [(1, True)] and not fleet.stale
		done = cli(demo, *words, "--json")
		assert done.exit_code == 6, done.text
		assert done.json["jobs"]["interrupted"] == done.json["jobs"]["lost_and_found"] == 0
		assert contained.poll() is None, "nobody signalled it"
		wait_for(lambda: demo.runs()[name] == 1, "the job ended")
		assert demo.runs("begin")[name] == 1
		assert [one.pid for one in demo.fleet_reader().read().unmanaged] == [1]
	finally:
		contained.kill()
		contained.wait()


def test_no_signal_goes_to_a_process_that_is_no_worker_whatever_redis_says(demo):
	"""A registration with this host's name and the pid of somebody else's process, a child of init."""
	bystander = subprocess.Popen(
		[sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
	)
	try:
		known = demo.fleet_reader().read().workers[0]
		forged = demo.redis.hgetall(f"rq:worker:{known.name}") | {b"pid": str(bystander.pid).encode()}
		forged[b"birth"] = b"2099-01-01T00:00:00.000000Z"
		demo.redis.hset("rq:worker:forged", mapping=forged)
		demo.redis.sadd("rq:workers", "rq:worker:forged")
		for queue in ("short", "default", "long"):
			demo.redis.sadd(f"rq:workers:{demo.bench.queue_prefix}{queue}", "rq:worker:forged")
		fleet = demo.fleet_reader().read()
		assert bystander.pid not in {worker.pid for program in fleet.programs for worker in program.workers}
		done = cli(demo, "--now", "--force-kill-timeout", "0", "--json")
		assert done.exit_code in (0, 6), done.text
		assert psutil.pid_exists(bystander.pid) and bystander.poll() is None
	finally:
		bystander.kill()
		bystander.wait()
	assert_bench_is_healthy(demo)


@pytest.mark.parametrize("front", ["setsid -w", "nice -n 5 setsid -w", "timeout --foreground 3600"])
def test_a_program_in_front_of_a_worker_is_not_taken_for_the_worker(make_bench, front):
	demo = make_bench(workers=(Workers(count=2, command=f"{front} {{bench}} {{verb}} --queue {{queues}}"),))
	jobs = run_long(demo, 2, 4)
	done = cli(demo, "--now", "--force-kill-timeout", "0", "--json")
	assert done.exit_code == 0, done.text
	assert done.json["workers"]["replaced"] == 2 and done.json["jobs"]["interrupted"] == 2
	again = cli(demo, "--json")
	assert again.exit_code == 0, again.text
	assert again.json["workers"]["replaced"] == 2
	assert_bench_is_healthy(demo, jobs, interrupted=jobs)


@pytest.mark.parametrize("words", [(), ("--wait-workers",)])
def test_an_idle_worker_that_does_not_leave_is_named_and_ended(demo, words):
	idle = demo.fleet_reader().read().workers[0]
	process = start_cli(demo, *words, "--wait-workers-verbose", "--wait-workers-timeout", "60")
	wait_for(lambda: psutil.pid_exists(idle.pid), "it is there")
	os.kill(idle.pid, signal.SIGSTOP)
	out, err = process.communicate(timeout=90)
	assert process.returncode in (0, 6), out + err
	assert not psutil.pid_exists(idle.pid) or "killed" in out
	assert_bench_is_healthy(demo)
