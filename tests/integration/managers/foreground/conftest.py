import pytest

from tests.support.foreground import ForegroundBench


@pytest.fixture
def bench(make_bench) -> ForegroundBench:
	"""Two workers on two queues and one on a third, gunicorn, a scheduler and Redis, run by honcho."""
	return make_bench(ForegroundBench)
