"""Workers out of reach, on hosts of their own, are drained and replaced through Redis alone."""

import pytest

from .conftest import assert_bench_is_healthy, cli, run_long, wait_for
from .hosts import Hosts, skip_without


@pytest.fixture
def make_hosts():
	skip_without()
	made = []

	def make(**kwargs) -> Hosts:
		made.append(Hosts(**{"boot_seconds": 0.3, **kwargs}))
		return made[-1].__enter__()

	yield make
	for hosts in made:
		hosts.end()


@pytest.fixture
def hosts(make_hosts) -> Hosts:
	return make_hosts()


def names(hosts: Hosts) -> set[str]:
	return {worker.name for worker in hosts.watch().see().workers}


@pytest.mark.engine
@pytest.mark.parametrize("strategy", ["--wait-workers", "--no-wait-workers", "rolling"])
def test_idle_workers_on_every_host_are_replaced(hosts, strategy):
	old = names(hosts)
	done = cli(hosts, *[strategy] * (strategy != "rolling"), "--only", "workers", "--json")
	assert done.exit_code == 0, done.text
	assert done.json["workers"] == {"before": 3, "after": 3, "replaced": 3, "still_old": 0}
	assert not old & names(hosts)
	assert_bench_is_healthy(hosts)
