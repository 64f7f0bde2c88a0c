"""A stream of tiny jobs is where a careless stop loses one: SIGTERM loses 4 to 11 in 60 (FACTS 1.2)."""

import pytest

from safe_restart.demo.bench import Workers
from tests.support.cli import cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import RESTARTS, Stream

pytestmark = pytest.mark.engine


# A worker on several queues pops in another way than one on a single queue (FACTS 1.2).
@pytest.mark.parametrize(
	"queues",
	["short,default,long", pytest.param("default", marks=pytest.mark.slow("restarts again and again"))],
)
@pytest.mark.parametrize("strategy", [(), ("--wait-workers",)], ids=["rolling", "wait-workers"])
def test_restarts_under_a_stream_of_tiny_jobs_lose_nothing_and_run_nothing_twice(
	make_bench, strategy, queues
):
	demo = make_bench(workers=(Workers(queues=queues, count=3),), web=False, boot_seconds=0)
	found = 0
	with Stream(demo) as stream:
		for _ in range(RESTARTS):
			done = cli(demo, *strategy, "--json")
			assert done.exit_code == 0, done.text
			assert done.json["workers"]["replaced"] == 3
			found += done.json["jobs"]["lost_and_found"] + done.json["jobs"]["interrupted"]
	assert_bench_is_healthy(demo, stream.names)
	# Nothing had to be rescued: no stop lost a job in the first place.
	assert found == 0
	print(
		f"{RESTARTS} restarts, {3 * RESTARTS} worker stops, {len(stream.names)} jobs: 0 lost, 0 twice, 0 rescued"
	)
