"""Fixtures for all tests: benches in miniature, on real Redis, RQ, gunicorn and supervisord."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from safe_restart.demo.bench import DemoBench, Workers

from .support.benches import MakeBench, bench_factory

# A busy machine is no fault of the code, and what failed is printed, so nothing has to be kept.
settings.register_profile(
	"patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None, print_blob=True
)
settings.load_profile("patient")


# Folders that `make test` leaves out, and why; a single test that it leaves out is marked with its reason. `make test-all`
# has them all.
SLOW_FOLDERS = {
	"browser": "needs Chromium",
	"integration/managers/containers": "needs network namespaces, and takes minutes",
	"integration/managers/overmind": "needs overmind and tmux",
	"integration/managers/systemd": "needs systemd, and takes minutes",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
	for item in items:
		folder = item.path.parent.relative_to(Path(__file__).parent).as_posix()
		if folder in SLOW_FOLDERS:
			item.add_marker(pytest.mark.slow(SLOW_FOLDERS[folder]))
		if any(not mark.args for mark in item.iter_markers("slow")):
			raise pytest.UsageError(f"{item.nodeid} is marked slow without a reason")


@pytest.fixture
def make_bench() -> Iterator[MakeBench]:
	"""Makes benches of any kind, which end with the test."""
	with bench_factory() as make_bench:
		yield make_bench


@pytest.fixture(scope="module")
def make_shared_bench() -> Iterator[MakeBench]:
	"""Makes benches that end with the module, for questions that change nothing."""
	with bench_factory() as make_bench:
		yield make_bench


@pytest.fixture
def demo(make_bench) -> DemoBench:
	"""A bench with three workers on the same queues, gunicorn and a scheduler."""
	return make_bench()


@pytest.fixture
def quiet_demo(make_bench) -> DemoBench:
	"""A bench without web, with one worker."""
	return make_bench(workers=(Workers(count=1),), web=False)
