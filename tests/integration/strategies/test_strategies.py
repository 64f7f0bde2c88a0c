"""Each strategy keeps its promise, on real parts."""

import pytest

from safe_restart.demo.bench import Workers
from safe_restart.engine.core import timestamps
from safe_restart.engine.state.journal import Journal
from tests.support.cli import cli, start_cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import end_jobs, run_long
from tests.support.restarts import start_draining, wait_for_step, wait_until_no_worker_is_idle, worker_pids
from tests.support.waiting import wait_for

pytestmark = pytest.mark.engine


def queue_short(demo, count: int) -> list[str]:
	names = [f"short-{number}" for number in range(count)]
	for name in names:
		demo.enqueue(0.01, name)
	return names


def test_wait_workers_lets_running_jobs_finish_and_runs_the_queued_ones_after(demo):
	old = worker_pids(demo)
	jobs = run_long(demo, 3, 6) + queue_short(demo, 30)

	done = cli(demo, "--wait-workers", "--json")

	assert done.exit_code == 0, done.text
	report = done.json
	assert report["jobs"] == {
		"running_at_start": 3,
		"queued_at_start": 30,
		"finished_during": 3,
		"interrupted": 0,
		"requeued": 0,
		"delayed": 0,
		"held": 0,
		"lost_and_found": 0,
	}
	assert report["workers"] == {"before": 3, "after": 3, "replaced": 3, "still_old": 0}
	assert report["web"]["checked"] and report["web"]["outage_ms"] > 0
	assert not old & worker_pids(demo)
	assert_bench_is_healthy(demo, jobs)


def test_rolling_interrupts_nothing_and_keeps_the_queue_moving(demo):
	jobs = run_long(demo, 2, 6) + queue_short(demo, 30)

	done = cli(demo, "--json")

	assert done.exit_code == 0, done.text
	assert done.json["workers"]["replaced"] == 3
	ended = {entry["job"]: entry["at"] for entry in demo.ledger() if entry["what"] == "end"}
	assert min(ended[name] for name in jobs if name.startswith("short")) < ended["long-0"]
	assert_bench_is_healthy(demo, jobs)


def test_rolling_never_leaves_a_queue_without_a_worker(demo):
	fleet_reader = demo.fleet_reader()
	process = start_cli(demo)
	fewest = 3
	while process.poll() is None:
		fewest = min(fewest, len(fleet_reader.read().workers))
	assert process.wait() == 0
	assert fewest >= 1
	assert_bench_is_healthy(demo)


def test_rolling_names_a_straggler_and_replaces_it_when_its_job_has_ended(demo):
	jobs = run_long(demo, 1, 120)

	done = cli(demo, "--wait-workers-timeout", "1", "--json")

	assert done.exit_code == 6, done.text
	assert done.json["status"] == "watching"
	assert done.json["workers"]["still_old"] == 1
	assert "still runs a job on old code" in done.json["warnings"][0]
	end_jobs(demo)
	wait_for(lambda: cli(demo, "history", "--json").json["requests"][0]["status"] == "completed")
	assert cli(demo, "history", "--json").json["requests"][0]["exit_code"] == 0
	assert_bench_is_healthy(demo, jobs)


def test_a_job_enqueued_during_drain_is_never_lost_and_waits(demo):
	jobs = run_long(demo, 1, 60)
	process = start_draining(demo)
	wait_until_no_worker_is_idle(demo)
	demo.enqueue(0.01, "late")
	end_jobs(demo)
	assert process.wait(60) == 0
	assert_bench_is_healthy(demo, [*jobs, "late"])
	ended = {entry["job"]: entry["at"] for entry in demo.ledger() if entry["what"] == "end"}
	assert ended["late"] > ended["long-0"]


def test_wait_workers_that_run_out_of_time_leave_everything_as_it_was(demo):
	old = worker_pids(demo)
	web_pid = next(s.pid for s in demo.fleet_reader().manager.services() if s.kind == "web")
	jobs = run_long(demo, 3, 60)

	done = cli(demo, "--wait-workers", "--wait-workers-timeout", "1", "--json")

	assert done.exit_code == 3, done.text
	assert "Nothing was interrupted" in done.json["outcome"]
	assert demo.redis.get("rq:suspended") is None
	assert worker_pids(demo) == old
	assert next(s.pid for s in demo.fleet_reader().manager.services() if s.kind == "web") == web_pid
	end_jobs(demo)
	demo.enqueue(0.01, "after")
	assert_bench_is_healthy(demo, [*jobs, "after"])


def test_no_wait_workers_returns_while_jobs_run_and_replaces_their_workers_later(demo):
	old = worker_pids(demo)
	jobs = run_long(demo, 3, 120)

	done = cli(demo, "--no-wait-workers", "--json")

	assert done.exit_code == 6
	assert done.json["status"] == "watching"
	assert done.json["workers"]["still_old"] == 3
	assert worker_pids(demo) == old
	status = cli(demo, "status")
	assert status.out.count("old code, leaves after this job") == 3
	end_jobs(demo)
	wait_for(lambda: not old & worker_pids(demo))
	wait_for(lambda: cli(demo, "history", "--json").json["requests"][0]["status"] == "completed")
	assert "old code" not in cli(demo, "status").out
	assert_bench_is_healthy(demo, jobs)


def test_now_kills_a_job_that_ignores_signals_with_its_horse_and_runs_it_again(demo):
	jobs = run_long(demo, 1, 60, ignore_signals=True)

	done = cli(demo, "--now", "--force-kill-timeout", "1", "--yes", "--json")

	assert done.exit_code == 0, done.text
	assert done.json["jobs"]["interrupted"] == done.json["jobs"]["requeued"] == 1
	end_jobs(demo)
	assert_bench_is_healthy(demo, jobs, interrupted=jobs)
	assert demo.runs("begin") == {"long-0": 2}


@pytest.mark.slow("its web boots for 10 s, twice")
def test_the_grace_is_no_longer_where_the_web_takes_long_to_boot(make_bench):
	demo = make_bench(boot_seconds=10)
	jobs = run_long(demo, 1, 60)
	done = cli(demo, "--now", "--force-kill-timeout", "1", "--json")
	assert done.exit_code == 0, done.text
	assert done.json["jobs"]["interrupted"] == 1
	assert done.json["web"]["outage_ms"] > 9000
	end_jobs(demo)
	assert_bench_is_healthy(demo, jobs, interrupted=jobs)


def test_now_lets_a_job_end_within_the_grace(demo):
	jobs = run_long(demo, 1, 1.5)
	done = cli(demo, "--now", "--force-kill-timeout", "20", "--json")
	assert done.exit_code == 0, done.text
	assert done.json["jobs"]["interrupted"] == 0
	assert_bench_is_healthy(demo, jobs)


def started_at(demo, name: str) -> float:
	"""When the newest request began that step, in seconds since the epoch."""
	journal = Journal(demo.bench)
	step = next(step for step in journal.steps(journal.requests(1)[0].id) if step.name == name)
	return timestamps.parse(step.started_at).timestamp()


def test_suspend_rq_holds_new_jobs_and_runs_interrupted_ones_again(demo):
	jobs = run_long(demo, 2, 60)
	process = start_cli(demo, "--suspend-rq", "--force-kill-timeout", "2")
	wait_for(lambda: demo.redis.exists("rq:suspended"))
	wait_until_no_worker_is_idle(demo)
	demo.enqueue(0.01, "late")
	assert process.wait(60) == 0, process.stderr.read()
	end_jobs(demo)
	wait_for(lambda: "late" in demo.runs())
	began = next(one["at"] for one in demo.ledger() if (one["what"], one["job"]) == ("begin", "late"))
	assert began > started_at(demo, "resume")
	assert_bench_is_healthy(demo, [*jobs, "late"], interrupted=jobs)


def test_interrupted_jobs_are_held_or_failed_where_that_was_asked(demo):
	run_long(demo, 1, 20)
	done = cli(demo, "--now", "--force-kill-timeout", "0", "--interrupted", "hold", "--json")
	assert done.exit_code == 0, done.text
	assert done.json["jobs"]["held"] == 1
	queues = demo.fleet_reader().read().snapshot.queues
	assert sum(queue.deferred for queue in queues) == 1
	assert sum(queue.failed for queue in queues) == 0
	assert demo.runs() == {}


def test_only_the_named_services_are_replaced(demo):
	before = {service.name: service.pid for service in demo.fleet_reader().manager.services()}
	done = cli(demo, "--only", "scheduler", "--json")
	assert done.exit_code == 0, done.text
	after = {service.name: service.pid for service in demo.fleet_reader().manager.services()}
	assert [name.endswith("schedule") for name in before if before[name] != after[name]] == [True]
	assert_bench_is_healthy(demo)


def test_redis_is_left_alone_unless_named_and_keeps_every_job_when_it_is(demo):
	redis_pid = next(s.pid for s in demo.fleet_reader().manager.services() if s.kind == "redis")
	assert cli(demo, "--wait-workers").exit_code == 0
	assert next(s.pid for s in demo.fleet_reader().manager.services() if s.kind == "redis") == redis_pid

	jobs = run_long(demo, 3, 4) + queue_short(demo, 20)
	done = cli(demo, "--wait-workers", "--only", "redis,workers", "--json")

	assert done.exit_code == 0, done.text
	assert next(s.pid for s in demo.fleet_reader().manager.services() if s.kind == "redis") != redis_pid
	assert_bench_is_healthy(demo, jobs)


def test_now_works_while_redis_is_down_and_says_what_it_could_not_see(demo):
	fleet_reader = demo.fleet_reader()
	old = {s.name: s.pid for s in fleet_reader.manager.services()}
	redis = next(s for s in fleet_reader.manager.services() if s.kind == "redis")
	fleet_reader.manager.call("stopProcess", redis.name)

	done = cli(demo, "--now", "--force-kill-timeout", "2", "--json")

	assert done.exit_code == 6, done.text
	assert "could not be seen" in done.json["warnings"][0]
	assert done.json["web"]["checked"]
	fleet_reader.manager.call("startProcess", redis.name)
	now = {s.name: s for s in fleet_reader.manager.services()}
	assert all(service.is_up for service in now.values())
	assert all(
		(s.pid != old[s.name]) == (s.kind in ("web", "scheduler")) for s in now.values() if s.kind != "redis"
	)
	demo.enqueue(0.01, "after")
	assert_bench_is_healthy(demo, ["after"])


def test_without_redis_any_other_strategy_is_refused(demo):
	fleet_reader = demo.fleet_reader()
	redis = next(s for s in fleet_reader.manager.services() if s.kind == "redis")
	fleet_reader.manager.call("stopProcess", redis.name)
	done = cli(demo, "--wait-workers")
	assert done.exit_code == 2
	assert "Nothing was touched" in done.text
	fleet_reader.manager.call("startProcess", redis.name)


def test_a_foreign_suspension_is_respected_reported_and_still_there(demo):
	demo.redis.set("rq:suspended", "somebody")
	done = cli(demo, "--json")
	assert done.exit_code == 6, done.text
	assert "somebody" in done.json["warnings"][0]
	assert demo.redis.get("rq:suspended") == b"somebody"
	assert demo.redis.ttl("rq:suspended") == -1
	demo.redis.delete("rq:suspended")
	assert_bench_is_healthy(demo)


def test_a_worker_pool_is_restarted_whole(make_bench):
	demo = make_bench(workers=(Workers(count=1, pool_size=2),))
	old = {worker.pid for worker in demo.fleet_reader().read().workers}
	parent = worker_pids(demo)
	jobs = run_long(demo, 1, 2)
	done = cli(demo, "--json")
	assert done.exit_code == 0, done.text
	assert not parent & worker_pids(demo)
	assert not old & {worker.pid for worker in demo.fleet_reader().read().workers}
	assert_bench_is_healthy(demo, jobs)


def test_workers_of_custom_queues_are_replaced_too(make_bench):
	demo = make_bench(workers=(Workers(count=1), Workers(queues="reports", count=1)))
	jobs = run_long(demo, 1, 2, queue="reports")
	done = cli(demo, "--wait-workers", "--json")
	assert done.exit_code == 0, done.text
	assert done.json["workers"]["replaced"] == 2
	assert_bench_is_healthy(demo, jobs)


def test_a_second_restart_is_turned_away_while_one_runs(demo):
	jobs = run_long(demo, 1, 60)
	first = start_draining(demo)
	second = cli(demo, "--wait-workers")
	assert second.exit_code == 4
	assert "Nothing was touched" in second.text
	end_jobs(demo)
	assert first.wait(60) == 0
	assert_bench_is_healthy(demo, jobs)


def test_a_new_restart_may_begin_while_the_last_one_only_watches(demo):
	jobs = run_long(demo, 1, 120)
	assert cli(demo, "--no-wait-workers").exit_code == 6
	second = start_cli(demo, "--json")
	wait_for(lambda: len(Journal(demo.bench).requests()) == 2, "the second has begun")
	wait_for_step(demo, "request-stop")
	end_jobs(demo)
	out, err = second.communicate(timeout=60)
	assert second.returncode == 0, out + err
	assert_bench_is_healthy(demo, jobs)


def break_scheduler(demo) -> None:
	(demo.path / "env/bin/bench").write_text("#!/bin/sh\nexit 3\n")


def break_web(demo) -> None:
	(demo.path / "web.json").write_text('{"exits": true}')


@pytest.mark.parametrize(
	("kind", "breaks"),
	[
		("scheduler", break_scheduler),
		pytest.param("web", break_web, marks=pytest.mark.slow("a web has a minute to come back")),
	],
)
def test_a_service_that_does_not_come_back_is_a_failure_that_says_so(demo, kind, breaks):
	broken = next(s for s in demo.fleet_reader().manager.services() if s.kind == kind)
	breaks(demo)

	done = cli(demo, "--only", kind, "--json")

	assert done.exit_code == 1, done.text
	assert broken.name in done.json["outcome"]
