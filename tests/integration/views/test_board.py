"""What the board in the browser is given: the bench as it is, previews, progress, and nothing of other sites."""

import json
from dataclasses import replace

import pytest

from safe_restart.demo import app
from safe_restart.engine.core import bench as benches
from safe_restart.engine.core.errors import Refused
from safe_restart.engine.rq import depth_history
from safe_restart.engine.sites import visibility
from safe_restart.engine.sites.visibility import SiteVisibility
from safe_restart.engine.state.journal import Journal
from safe_restart.engine.views import board
from tests.support.cli import cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import end_jobs, run_long
from tests.support.waiting import wait_for

ALL = SiteVisibility(None)
OTHER = SiteVisibility("other.localhost", (app.SITE,))


def test_the_overview_tells_workers_jobs_queues_and_the_last_restart(demo):
	assert cli(demo, "--reason", "to see it").exit_code == 0
	jobs = run_long(demo, 1, 3)
	seen = json.loads(json.dumps(board.overview(demo.bench, ALL)))
	(job,) = [worker["job"] for worker in seen["workers"] if worker["job"]]
	assert job["site"] == app.SITE and job["method"].endswith("work_for") and job["seconds_left"] > 100
	assert len(seen["workers"]) == 3
	assert {service["kind"] for service in seen["services"]} >= {"web", "workers", "scheduler", "redis"}
	assert seen["last"]["status"] == "completed" and seen["last"]["reason"] == "to see it"
	assert [step["name"] for step in seen["last"]["steps"]] == seen["last"]["planned_steps"]
	assert seen["history"][0]["request"] == seen["last"]["request"]
	assert seen["depths"]["at"] and set(seen["depths"]["queues"]) >= {"short", "default", "long"}
	assert_bench_is_healthy(demo, jobs)


def test_each_strategy_is_previewed_and_the_next_restart_is_foretold_from_the_last(demo):
	first = board.previews(demo.bench, {}, ALL)
	assert first["expected"]["rolling"]["seconds"] is None
	assert cli(demo).exit_code == 0
	jobs = run_long(demo, 1, 60)
	seen = board.previews(demo.bench, {"force_kill_timeout": 1}, ALL)
	assert set(seen["plans"]) == {"rolling", "wait-workers", "no-wait-workers", "suspend-rq", "now"}
	interrupted = {name: plan["running"][0]["may_be_interrupted"] for name, plan in seen["plans"].items()}
	assert {name for name, is_so in interrupted.items() if is_so} == {"suspend-rq", "now"}
	expected = seen["expected"]
	assert 0 < expected["rolling"]["seconds"] < expected["rolling"]["at_most"] < 400
	assert expected["no-wait-workers"]["at_most"] == expected["no-wait-workers"]["seconds"]
	assert expected["now"]["at_most"] == pytest.approx(expected["now"]["seconds"] + 1)
	end_jobs(demo)
	assert_bench_is_healthy(demo, jobs)


def test_progress_tells_what_became_of_each_job_that_ran(demo):
	jobs = run_long(demo, 2, 5)
	done = cli(demo, "--wait-workers", "--json").json
	seen = board.progress(demo.bench, done["request"], 0, ALL)
	assert [job["fate"] for job in seen["affected"]] == ["finished", "finished"]
	assert seen["events"] and not seen["is_open"]
	assert board.progress(demo.bench, done["request"], seen["events"][-1]["number"], ALL)["events"] == []
	assert_bench_is_healthy(demo, jobs)


def test_an_interrupted_job_is_told_as_queued_again(demo):
	run_long(demo, 1, 60)
	done = cli(demo, "--now", "--force-kill-timeout", "0", "--json").json
	(job,) = board.progress(demo.bench, done["request"], 0, ALL)["affected"]
	assert job["fate"] == "queued again" and job["site"] == app.SITE


def test_another_sites_jobs_are_only_counted(demo):
	run_long(demo, 1, 60)
	done = cli(demo, "--now", "--force-kill-timeout", "0", "--interrupted", "hold", "--json").json
	wait_for(lambda: demo.redis.scard("rq:safe-restart:held:" + demo.bench.bench_id) == 1)
	told = [
		board.overview(demo.bench, OTHER),
		board.previews(demo.bench, {}, OTHER),
		board.progress(demo.bench, done["request"], 0, OTHER),
		board.history(demo.bench, OTHER),
	]
	assert told[0]["held_jobs_elsewhere"] == 1 and told[0]["held_jobs"] == []
	assert told[2]["affected_elsewhere"] == 1 and told[2]["affected"] == []
	assert app.SITE not in json.dumps(told)
	assert "work_for" not in json.dumps(told)
	(held,) = board.overview(demo.bench, ALL)["held_jobs"]
	with pytest.raises(Refused, match="does not belong to this site"):
		board.requeue(demo.bench, held["id"], "somebody", OTHER)
	board.discard(demo.bench, held["id"], "somebody", ALL)
	assert board.overview(demo.bench, ALL)["held_jobs"] == []


def test_a_site_may_ask_where_it_is_alone_or_was_named(demo):
	assert visibility.visibility_of(demo.bench, app.SITE) == ALL
	other = demo.path / "sites/other.localhost"
	other.mkdir()
	(other / "site_config.json").write_text("{}")
	bench = benches.load(demo.path)
	with pytest.raises(Refused, match="may not ask"):
		visibility.visibility_of(bench, app.SITE)
	named = benches.Bench(bench.path, {**bench.config, "safe_restart": {"sites": ["other.localhost"]}})
	assert visibility.visibility_of(named, "other.localhost") == OTHER
	with pytest.raises(Refused):
		visibility.visibility_of(named, app.SITE)


def test_depths_are_sampled_once_in_a_while_and_forgotten_after_a_while(quiet_demo):
	redis, bench = quiet_demo.redis, quiet_demo.bench
	seen = quiet_demo.fleet_reader().rq_reader.snapshot()

	def samples_after(seconds: float) -> dict:
		depth_history.add_sample(bench, redis, replace(seen, now=seen.now + seconds))
		return depth_history.read_samples(bench, redis)

	every, kept = depth_history.EVERY_SECONDS + 1, depth_history.KEPT_SECONDS
	for number in range(3):
		three = samples_after(number * every)
	assert len(three["at"]) == 3
	assert samples_after(2 * every + 1) == three, "the last one is not old enough"
	assert len(samples_after(kept + 1)["at"]) == 3, "the first one is too old"


def test_each_step_is_announced_to_the_sites_browsers(demo):
	listener = demo.redis.pubsub(ignore_subscribe_messages=True)
	listener.subscribe("events")
	listener.get_message(timeout=1)
	done = cli(demo, "--json").json
	said = []
	while message := listener.get_message(timeout=1):
		said.append(json.loads(message["data"]))
	assert {(one["event"], one["room"], one["namespace"]) for one in said} == {
		("safe_restart", "all", app.SITE)
	}
	assert [one["message"]["step"] for one in said] == [*(step["name"] for step in done["steps"]), ""]
	assert said[-1]["message"] == {"request": done["request"], "status": "completed", "step": ""}


def test_a_request_can_be_cancelled_from_the_board_until_it_has_ended(demo):
	journal = Journal(demo.bench)
	request = journal.add("rolling", {}, "somebody")
	assert board.progress(demo.bench, request.id, 0, ALL)["can_cancel"]
	assert board.cancel(demo.bench, request.id)["cancelled"]
	assert journal.is_cancel_requested(request.id)
	assert not board.progress(demo.bench, request.id, 0, ALL)["can_cancel"]
	journal.write_report(request.id, "cancelled", 5, "Cancelled.", None)
	with pytest.raises(Refused, match="ended already"):
		board.cancel(demo.bench, request.id)


def test_a_restart_that_has_begun_to_replace_cannot_be_cancelled_any_more(demo):
	journal = Journal(demo.bench)
	for strategy, last in (("rolling", "request-stop"), ("wait-workers", "begin-services")):
		request = journal.add(strategy, {}, "somebody")
		for name in ("preflight", "suspend"):
			journal.start_step(request.id, name)
		assert board.progress(demo.bench, request.id, 0, ALL)["can_cancel"]
		journal.start_step(request.id, last)
		assert not board.progress(demo.bench, request.id, 0, ALL)["can_cancel"]
