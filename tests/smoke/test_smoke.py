"""One restart, from end to end: what each supported Python has to be able to do (`make test-pythons`)."""

from tests.support.cli import cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import run_long
from tests.support.restarts import worker_pids


def test_a_restart_replaces_every_worker_and_loses_no_job(demo):
	old, jobs = worker_pids(demo), run_long(demo, 1, 2)
	done = cli(demo, "--wait-workers", "--json")
	assert done.exit_code == 0, done.text
	assert done.json["workers"] == {"before": 3, "after": 3, "replaced": 3, "still_old": 0}
	assert not old & worker_pids(demo)
	assert_bench_is_healthy(demo, jobs)
