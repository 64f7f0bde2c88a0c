"""A restart that migrates: drained, in maintenance, and everything put back exactly as it was."""

import json
import os
import signal

import pytest

from safe_restart.demo import app
from safe_restart.engine.state.journal import Journal
from tests.support.cli import cli, start_cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import end_jobs, run_long
from tests.support.restarts import worker_pids
from tests.support.waiting import wait_for


def site_config(demo) -> dict:
	return json.loads((demo.path / f"sites/{app.SITE}/site_config.json").read_text())


def migration(demo, **behaviour) -> None:
	(demo.path / "migrate.json").write_text(json.dumps(behaviour))


def states(demo) -> set[str]:
	return {s.state for s in demo.fleet_reader().manager.services() if s.kind in ("workers", "scheduler")}


def test_a_migration_runs_while_no_job_does_and_leaves_everything_as_it_was(demo):
	(demo.path / f"sites/{app.SITE}/site_config.json").write_text('{"pause_scheduler": 0, "db_name": "d"}')
	old = worker_pids(demo)
	jobs = run_long(demo, 2, 2)
	demo.enqueue(0.01, "queued-before")

	done = cli(demo, "--migrate", "--json")

	assert done.exit_code == 0, done.text
	assert done.json["strategy"] == "wait-workers"
	assert done.json["workers"] == {"before": 3, "after": 3, "replaced": 3, "still_old": 0}
	ledger = [(entry["what"], entry["job"]) for entry in demo.ledger()]
	begin, end = (i for i, entry in enumerate(demo.ledger()) if entry["what"] == "migrate")
	assert end == begin + 1, ledger
	assert begin > max(i for i, entry in enumerate(ledger) if entry[1] in jobs)
	assert site_config(demo) == {"pause_scheduler": 0, "db_name": "d"}
	assert not old & worker_pids(demo)
	assert_bench_is_healthy(demo, [*jobs, "queued-before"])


def test_its_output_is_streamed(demo):
	migration(demo, lines=5, seconds=0.2)
	done = cli(demo, "--migrate")
	assert done.exit_code == 0, done.text
	assert done.out.count("  | ") == 5


@pytest.mark.parametrize(
	("behaviour", "words", "says"),
	[
		({"fail": True, "lines": 2}, (), "exited with 1"),
		({"seconds": 60, "silent": True}, ("--migrate-timeout", "1"), "--migrate-timeout 1 s"),
	],
)
def test_a_migration_that_fails_keeps_everything_down_and_can_be_tried_again(demo, behaviour, words, says):
	migration(demo, **behaviour)

	failed = cli(demo, "--migrate", *words, "--json")

	assert failed.exit_code == 1, failed.text
	assert says in failed.json["outcome"]
	assert f"safe-restart retry {failed.json['request']}" in failed.json["outcome"]
	assert site_config(demo) == {"maintenance_mode": 1, "pause_scheduler": 1}
	assert states(demo) == {"stopped"}
	demo.enqueue(0.01, "waits")

	migration(demo)
	again = cli(demo, "retry", failed.json["request"], "--json")

	assert again.exit_code == 0, again.text
	assert site_config(demo) == {}
	assert_bench_is_healthy(demo, ["waits"])


def test_after_a_failed_migration_everything_can_be_started_anyway(demo):
	migration(demo, fail=True)
	assert cli(demo, "--migrate").exit_code == 1
	started = cli(demo, "recover", "--start-anyway")
	assert started.exit_code == 0, started.text
	assert site_config(demo) == {}
	assert cli(demo, "recover", "--start-anyway").exit_code == 2
	assert_bench_is_healthy(demo)


def test_migrating_with_jobs_left_running_is_refused_with_the_reason(demo):
	for strategy in ("--now", "--no-wait-workers", "--suspend-rq"):
		refused = cli(demo, "--migrate", strategy)
		assert refused.exit_code == 2
		assert "old code while the database changes" in refused.text
	assert cli(demo, "--migrate", "--site", "nowhere").exit_code == 2
	assert cli(demo, "--migrate", "--only", "web").exit_code == 2
	assert_bench_is_healthy(demo)


def migrated_at(demo) -> list[float]:
	return [entry["at"] for entry in demo.ledger() if entry["what"] == "migrate"]


@pytest.mark.parametrize(
	"words", [(), pytest.param(("--no-wait-workers",), marks=pytest.mark.slow("another strategy"))]
)
def test_with_running_jobs_allowed_they_run_through_the_migration_and_none_begins(demo, words):
	old = worker_pids(demo)
	jobs = run_long(demo, 2, 120)
	migration(demo, seconds=1)
	process = start_cli(demo, "--migrate", "--allow-running-jobs", *words, "--json")
	wait_for(lambda: len(migrated_at(demo)) == 1)
	demo.enqueue(0.01, "queued-meanwhile")
	assert site_config(demo)["maintenance_mode"] == 1
	wait_for(lambda: len(migrated_at(demo)) == 2, "it is migrated")
	end_jobs(demo)
	out, err = process.communicate(timeout=60)

	assert process.returncode == 6, out + err
	warnings = " ".join(json.loads(out)["warnings"])
	assert warnings.count("was running on old code when the migration began") == 2, warnings
	assert site_config(demo) == {}
	wait_for(lambda: set(demo.runs()) >= {*jobs, "queued-meanwhile"})
	began, ended = migrated_at(demo)
	at = {(entry["what"], entry["job"]): entry["at"] for entry in demo.ledger()}
	assert all(at["begin", name] < began and at["end", name] > ended for name in jobs)
	assert at["begin", "queued-meanwhile"] > ended
	wait_for(lambda: not Journal(demo.bench).open_requests())
	assert not old & worker_pids(demo)
	assert_bench_is_healthy(demo, [*jobs, "queued-meanwhile"])


def test_when_a_migration_beside_jobs_fails_their_workers_stop_after_them(demo):
	jobs = run_long(demo, 1, 60)
	migration(demo, fail=True)
	process = start_cli(demo, "--migrate", "--allow-running-jobs", "--json")
	wait_for(lambda: len(migrated_at(demo)) == 2, "it has failed")
	end_jobs(demo)
	out, err = process.communicate(timeout=60)
	assert process.returncode == 1, out + err
	assert states(demo) == {"stopped"}
	assert demo.runs() == dict.fromkeys(jobs, 1)
	demo.enqueue(0.01, "waits")
	migration(demo)
	again = cli(demo, "retry", json.loads(out)["request"], "--json")
	assert again.exit_code == 0, again.text
	assert_bench_is_healthy(demo, [*jobs, "waits"])


def test_running_jobs_are_allowed_only_where_nothing_interrupts_them(demo):
	for words in (
		("--allow-running-jobs",),
		*(("--migrate", "--allow-running-jobs", s) for s in ("--now", "--suspend-rq")),
	):
		assert cli(demo, *words).exit_code == 2
	assert "--allow-running-jobs" in cli(demo, "--migrate", "--no-wait-workers").text
	assert_bench_is_healthy(demo)


def test_when_the_helper_dies_in_a_migration_everything_stays_down_and_says_so(demo):
	migration(demo, seconds=4)
	process = start_cli(demo, "--migrate", "--json")
	wait_for(lambda: any(entry["what"] == "migrate" for entry in demo.ledger()))
	os.kill(Journal(demo.bench).requests(1)[0].helper_pid, signal.SIGKILL)
	out, err = process.communicate(timeout=60)
	assert process.returncode == 1, out + err
	assert "unknown end" in out
	assert site_config(demo) == {"maintenance_mode": 1, "pause_scheduler": 1}
	migration(demo)
	request = json.loads(out)["request"]
	wait_for(lambda: cli(demo, "retry", request).exit_code == 0)
	assert site_config(demo) == {}
	assert_bench_is_healthy(demo)


def test_when_the_helper_dies_after_a_migration_another_ends_the_restart(demo):
	process = start_cli(demo, "--migrate", "--json")
	journal = Journal(demo.bench)
	wait_for(
		lambda: (
			journal.requests(1)
			and {"rescue", "resume", "verify"}
			& {step.name for step in journal.steps(journal.requests(1)[0].id)}
		)
	)
	request = journal.requests(1)[0]
	os.kill(request.helper_pid, signal.SIGKILL)
	out, err = process.communicate(timeout=90)
	assert process.returncode in (0, 6), out + err  # 0 where it had ended in that very moment
	assert len(migrated_at(demo)) == 2, "it migrated once"
	assert site_config(demo) == {}
	assert_bench_is_healthy(demo)
