"""Real Redis, RQ, gunicorn and supervisord for each test."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

from safe_restart.demo.bench import DemoBench, Workers

from .support.benches import BOOT_SECONDS

# A busy machine is no fault of the code, and what failed is printed, so nothing has to be kept.
settings.register_profile(
	"patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None, print_blob=True
)
settings.load_profile("patient")


@pytest.fixture
def make_demo() -> Iterator[Callable[..., DemoBench]]:
	"""Makes benches that end with the test."""
	made = []

	def make(tinker: Callable[[DemoBench], None] | None = None, **kwargs) -> DemoBench:
		"""`tinker` changes the files of the bench, before it is started."""
		demo = DemoBench(**{"boot_seconds": BOOT_SECONDS, **kwargs})
		made.append(demo)
		if not tinker:
			return demo.__enter__()
		demo.write()
		tinker(demo)
		demo.start()
		return demo

	yield make
	for demo in made:
		demo.end()


@pytest.fixture
def demo(make_demo) -> DemoBench:
	"""A bench with three workers on the same queues, gunicorn and a scheduler."""
	return make_demo()


@pytest.fixture
def quiet_demo(make_demo) -> DemoBench:
	"""A bench without web, with one worker."""
	return make_demo(workers=(Workers(count=1),), web=False)
