from collections.abc import Callable, Iterator

import pytest

from safe_restart.demo.bench import Workers
from tests.support.benches import BOOT_SECONDS
from tests.support.systemd import SystemdBench, why_not

# As bench has it with two background_workers, but for the long queue
WORKERS = (Workers("short", 1), Workers("default", 3))


@pytest.fixture(scope="session")
def systemd_is_here() -> None:
	if why := why_not():
		pytest.skip(f"no systemd of our own: {why}")


@pytest.fixture
def make_systemd(systemd_is_here, monkeypatch) -> Iterator[Callable[..., SystemdBench]]:
	"""Makes benches under systemd that end with the test."""
	made = []

	def make(cls: type[SystemdBench] = SystemdBench, **kwargs) -> SystemdBench:
		bench = cls(**{"boot_seconds": BOOT_SECONDS, "workers": WORKERS, **kwargs})
		made.append(bench)
		for name, value in bench.address.items():
			monkeypatch.setenv(name, value)  # this process and its command lines ask this systemd
		return bench.__enter__()

	yield make
	for bench in made:
		bench.end()


@pytest.fixture
def systemd_bench(make_systemd) -> SystemdBench:
	"""Four workers on two queues, gunicorn, a scheduler and Redis in units as bench writes them."""
	return make_systemd()
