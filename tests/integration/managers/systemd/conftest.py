import pytest

from safe_restart.demo.bench import Workers
from tests.support.benches import MakeBench
from tests.support.systemd import SystemdBench, why_not

# As bench has it with two background_workers, but for the long queue
WORKERS = (Workers("short", 1), Workers("default", 3))


@pytest.fixture(scope="session")
def systemd_is_here() -> None:
	if why := why_not():
		pytest.skip(f"no systemd of our own: {why}")


@pytest.fixture
def make_systemd(systemd_is_here, make_bench, monkeypatch) -> MakeBench:
	"""Makes benches under a systemd of their own."""

	def make_systemd(kind: type[SystemdBench] = SystemdBench, **options) -> SystemdBench:
		def ask_this_systemd(bench: SystemdBench) -> None:
			for name, value in bench.address.items():
				monkeypatch.setenv(name, value)  # for this process and its command lines

		return make_bench(kind, ask_this_systemd, **{"workers": WORKERS, **options})

	return make_systemd


@pytest.fixture
def systemd_bench(make_systemd) -> SystemdBench:
	"""Four workers on two queues, gunicorn, a scheduler and Redis in units as bench writes them."""
	return make_systemd()
