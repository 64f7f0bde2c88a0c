from collections.abc import Callable, Iterator

import pytest

from safe_restart.demo.bench import Workers
from tests.support.benches import BOOT_SECONDS
from tests.support.foreground import ForegroundBench


@pytest.fixture
def make_foreground() -> Iterator[Callable[..., ForegroundBench]]:
	"""Makes benches in the foreground that end with the test."""
	made = []

	def make(cls: type[ForegroundBench] = ForegroundBench, **kwargs) -> ForegroundBench:
		# As bench has it with one worker a queue, but for a second one that shares its queue with the first
		workers = (Workers("short,default", 2), Workers("long", 1))
		bench = cls(**{"boot_seconds": BOOT_SECONDS, "workers": workers, **kwargs})
		made.append(bench)
		return bench.__enter__()

	yield make
	for bench in made:
		bench.end()


@pytest.fixture
def bench(make_foreground) -> ForegroundBench:
	"""Two workers on two queues and one on a third, gunicorn, a scheduler and Redis, run by honcho."""
	return make_foreground()
