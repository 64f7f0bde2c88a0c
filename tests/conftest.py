"""Fixtures for all tests: benches in miniature, on real Redis, RQ, gunicorn and supervisord."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from safe_restart.demo.bench import DemoBench, Workers

from .support.benches import MakeBench, bench_factory

# A busy machine is no fault of the code, and what failed is printed, so nothing has to be kept.
settings.register_profile(
	"patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None, print_blob=True
)
settings.load_profile("patient")


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
