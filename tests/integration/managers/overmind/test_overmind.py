"""Overmind replaces one process without ending the others, so there a restart is complete by itself."""

import shutil
import time

import pytest

from tests.support.cli import cli, start_cli
from tests.support.foreground import OvermindBench, assert_handled_gently, end_of
from tests.support.health import assert_bench_is_healthy
from tests.support.load import end_jobs, run_long
from tests.support.restarts import helper_of, start_draining, wait_for_step
from tests.support.restarts import worker_pids as pids_of_workers

pytestmark = [
	pytest.mark.engine,
	pytest.mark.skipif(not shutil.which("overmind"), reason="no overmind: install it from its releases page"),
	pytest.mark.skipif(
		not shutil.which("tmux"), reason="no tmux, which overmind needs: apt-get install tmux"
	),
]


@pytest.fixture
def bench(make_bench) -> OvermindBench:
	return make_bench(OvermindBench)


def pids(bench: OvermindBench) -> dict[str, int]:
	return {service.name: service.pid for service in bench.fleet_reader().manager.services()}


def test_all_is_replaced_when_no_job_runs_and_no_job_is_lost(bench):
	old = pids(bench)
	jobs = run_long(bench, 2, 4)
	process = start_draining(bench, "--json")
	bench.enqueue(0.01, "late")
	bench.enqueue(0.01, "late-long", "long")
	code, said = end_of(process)
	assert code == 0, said
	new = pids(bench)
	assert {name for name in old if old[name] == new[name]} == {"redis_queue"}
	assert '"still_old": 0' in said and '"interrupted": 0' in said
	assert_handled_gently(bench, [*jobs, "late", "late-long"])


def test_jobs_that_come_in_meanwhile_run_once_each(bench):
	jobs = []
	for _ in range(3):
		process = start_cli(bench)
		while process.poll() is None:
			for queue in ("short", "default", "long"):
				jobs.append(f"job-{len(jobs)}")
				bench.enqueue(0.01, jobs[-1], queue)
			time.sleep(0.01)
		code, said = end_of(process)
		assert code == 0, said
	assert_handled_gently(bench, jobs)


def test_jobs_that_do_not_end_in_time_leave_everything_as_it_was(bench):
	old = pids(bench)
	jobs = run_long(bench, 1, 60)
	assert cli(bench, "--wait-workers-timeout", "2").exit_code == 3
	assert pids(bench) == old
	end_jobs(bench)
	assert_handled_gently(bench, jobs)


def test_only_the_named_service_is_replaced(bench):
	old = pids(bench)
	done = cli(bench, "--only", "web")
	assert done.exit_code == 0, done.text
	new = pids(bench)
	assert [name for name in old if old[name] != new[name]] == ["web"]
	assert_handled_gently(bench)


@pytest.mark.parametrize("step", ["drain", "stop", "replace"])
def test_a_helper_that_is_killed_is_taken_over_and_the_bench_works(bench, step):
	old = pids_of_workers(bench)
	process = start_cli(bench)
	wait_for_step(bench, step)
	helper_of(bench).kill()
	code, said = end_of(process)
	assert code in (1, 6), said
	is_new = step != "drain"
	assert bool(old & pids_of_workers(bench)) is not is_new, said
	assert_handled_gently(bench)


def test_what_would_interrupt_or_keep_down_is_refused(bench):
	for words in (("--now", "--yes"), ("--migrate",)):
		done = cli(bench, *words)
		assert done.exit_code == 2
		assert "the end of one process ends all" in done.text
	assert "overmind echo" in cli(bench, "logs", "web").text
	assert_bench_is_healthy(bench)
