"""Queues that the bench's configuration adds, and those that it does not know: seen, drained, rescued, with their own
timeouts."""

import json

import pytest

from safe_restart.demo.bench import DemoBench, Workers
from tests.support.cli import cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import end_jobs, run_long
from tests.support.restarts import start_draining, worker_pids
from tests.support.waiting import wait_for

pytestmark = pytest.mark.engine


# One worker each: the standard ones, one with its own timeout, one with no options at all, and one nobody configured
CUSTOM = {"reports": {"timeout": 3000}, "mail": None, "odd": {}, "nothing": {"timeout": None}}
PROGRAMS = tuple(Workers(queues=name, count=1) for name in ("default", "reports", "mail", "unknown"))


def configure(demo: DemoBench) -> None:
	path = demo.path / "sites/common_site_config.json"
	path.write_text(json.dumps(json.loads(path.read_text()) | {"workers": CUSTOM}))


@pytest.fixture
def custom(make_bench) -> DemoBench:
	return make_bench(before_start=configure, workers=PROGRAMS, web=False)


def run_one_in_each(demo: DemoBench, seconds: float) -> list[str]:
	names = [workers.queues for workers in PROGRAMS]
	for name in names:
		demo.enqueue(seconds, name, queue=name)
	wait_for(lambda: set(demo.runs("begin")) >= set(names), "a job runs in each queue")
	return names


def test_jobs_of_every_queue_are_planned_by_their_timeouts_and_finish_first(
	custom,
):
	jobs, old = run_one_in_each(custom, 60), worker_pids(custom)
	plan = cli(custom, "plan", "now", "--json").json
	left = sorted(round(fate["seconds_left"], -2) for fate in plan["running"])
	assert left == [300, 300, 300, 3000]
	# Of those that may outlast their grace of 360 s there is one.
	assert [fate["may_be_interrupted"] for fate in plan["running"]].count(True) == 1
	assert plan["all_done_within_seconds"] > 2900

	process = start_draining(custom, "--json")
	for name in (workers.queues for workers in PROGRAMS):
		custom.enqueue(0.01, f"waits-{name}", queue=name)
	end_jobs(custom)
	out, err = process.communicate(timeout=60)

	assert process.returncode == 0, out + err
	report = json.loads(out)
	assert (report["jobs"]["running_at_start"], report["jobs"]["finished_during"]) == (4, 4)
	assert report["workers"] == {"before": 4, "after": 4, "replaced": 4, "still_old": 0}
	assert not old & worker_pids(custom)
	ended = {entry["job"]: entry["at"] for entry in custom.ledger() if entry["what"] == "end"}
	assert_bench_is_healthy(custom, [*jobs, *(f"waits-{name}" for name in jobs)])
	assert set(ended) >= set(jobs)


def test_what_is_interrupted_or_lost_in_any_queue_runs_again_in_that(custom):
	jobs = run_one_in_each(custom, 60)
	lost = [custom.enqueue(0.01, f"lost-{name}", queue=name) for name in jobs]
	for name in jobs:
		custom.redis.delete(f"rq:queue:{custom.bench.queue_prefix}{name}")

	done = cli(custom, "--now", "--force-kill-timeout", "0", "--yes", "--json")

	assert done.exit_code == 0, done.text
	assert done.json["jobs"]["lost_and_found"] == len(lost)
	end_jobs(custom)
	assert_bench_is_healthy(custom, [*jobs, *(f"lost-{name}" for name in jobs)], interrupted=jobs)
	# One that ended before it was its turn needed no rescue.
	assert (
		sum(custom.runs("begin").values()) == 4 + len(lost) + done.json["jobs"]["interrupted"] > 4 + len(lost)
	)


def test_a_queue_with_one_worker_is_away_for_its_boot_only_and_its_long_job_finishes(custom):
	jobs = run_long(custom, 1, 4, queue="mail")
	for name in ("mail", "reports", "unknown"):
		custom.enqueue(0.01, f"short-{name}", queue=name)
		jobs.append(f"short-{name}")
	done = cli(custom, "--json")
	assert done.exit_code == 0, done.text
	assert done.json["workers"]["replaced"] == 4
	assert_bench_is_healthy(custom, jobs)
	ended = {entry["job"]: entry["at"] for entry in custom.ledger() if entry["what"] == "end"}
	assert ended["short-reports"] < ended["long-0"] < ended["short-mail"]


def test_doctor_names_a_grace_shorter_than_the_timeouts_of_the_queues_served(custom):
	said = cli(custom, "doctor").out
	assert "frappe-1-worker-0: stopwaitsecs is 360, shorter than the 3000 s" in said
	assert said.count("stopwaitsecs") == 2  # and its fix
