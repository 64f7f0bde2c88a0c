"""Worker pools beside plain workers, on the same queues."""

import pytest

from safe_restart.demo.bench import DemoBench, Workers
from safe_restart.engine.processes import tree
from tests.support.cli import cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import RESTARTS, Stream, end_jobs, run_long
from tests.support.restarts import worker_pids
from tests.support.waiting import wait_for

pytestmark = pytest.mark.engine

MIXED = (
	Workers(queues="default", count=2),
	Workers(queues="short,default", count=1, pool_size=2),
	Workers(queues="default", count=1, pool_size=3),
)
WORKERS = 7


@pytest.fixture
def mixed(make_bench) -> DemoBench:
	return make_bench(workers=MIXED, web=False)


def all_pids(demo: DemoBench) -> set[int]:
	"""Of workers and of the pools above them."""
	return worker_pids(demo) | {worker.pid for worker in demo.fleet_reader().read().workers}


@pytest.mark.slow("restarts again and again")
@pytest.mark.parametrize("strategy", [(), ("--wait-workers",)], ids=["rolling", "wait-workers"])
def test_pools_and_workers_under_a_stream_of_tiny_jobs_lose_nothing(mixed, strategy):
	with Stream(mixed) as stream:
		for _ in range(max(2, RESTARTS - 1)):
			old = all_pids(mixed)
			assert len(old) == WORKERS + 2
			done = cli(mixed, *strategy, "--json")
			assert done.exit_code == 0, done.text
			assert done.json["workers"] == {
				"before": WORKERS,
				"after": WORKERS,
				"replaced": WORKERS,
				"still_old": 0,
			}
			assert done.json["jobs"]["lost_and_found"] == done.json["jobs"]["interrupted"] == 0
			assert not [*filter(tree.get, old)]
			wait_for(lambda: len(all_pids(mixed)) == WORKERS + 2, "all workers are back")
	assert_bench_is_healthy(mixed, stream.names)


@pytest.mark.parametrize("strategy", [(), ("--wait-workers",)], ids=["rolling", "wait-workers"])
def test_a_pool_goes_whole_when_the_last_job_of_its_workers_has_ended(mixed, strategy):
	old = all_pids(mixed)
	jobs = run_long(mixed, 5, 4)
	done = cli(mixed, *strategy, "--json")
	assert done.exit_code == 0, done.text
	assert done.json["jobs"]["interrupted"] == 0
	assert not [*filter(tree.get, old)]
	assert_bench_is_healthy(mixed, jobs)


def test_a_pool_whose_grace_is_over_is_killed_whole_and_its_jobs_run_again(mixed):
	old = all_pids(mixed)
	jobs = run_long(mixed, WORKERS, 60)
	done = cli(mixed, "--now", "--force-kill-timeout", "0", "--yes", "--json")
	assert done.exit_code == 0, done.text
	assert not [*filter(tree.get, old)]
	end_jobs(mixed)
	assert_bench_is_healthy(mixed, jobs, interrupted=jobs)
	# One that ended before it was its turn needed no rescue.
	assert sum(mixed.runs("begin").values()) == WORKERS + done.json["jobs"]["interrupted"] > WORKERS
