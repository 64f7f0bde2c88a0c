"""Apps object to a restart, are told before and after; what they say is heeded whatever becomes of the restart.

Here a program answers in Frappe's place, in the form that desk/site_process.py prints; the real one is tested on a real site.
"""

import stat

import pytest

from safe_restart.engine.sites import app_hooks
from safe_restart.engine.state.journal import Journal
from tests.support.cli import cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import end_jobs, run_long
from tests.support.restarts import worker_pids

ANSWERING = """#!/bin/sh
echo "$3 $5 $6 $7 $8" >> {log}
case "$3" in {cases}
esac
echo 'an app prints something'
echo 'safe_restart:{{"site": "demo.localhost"}}'
"""
OBJECTS = """echo 'safe_restart:{{"site": "demo.localhost", "by": "hr.busy", "sentence": "Payroll is being submitted."}}'"""


@pytest.fixture
def answer(demo):
	"""Declare hooks and say how they answer; returns what the apps were told so far."""
	log = demo.path / "told.log"

	def answer(hooks: str, cases: str = "") -> None:
		folder = demo.path / "apps/hr/hr"
		folder.mkdir(parents=True, exist_ok=True)
		(folder / "hooks.py").write_text(hooks)
		program = demo.path / "env/bin/python"
		program.unlink(missing_ok=True)
		program.write_text(ANSWERING.format(log=log, cases=cases.replace("{{", "{").replace("}}", "}")))
		program.chmod(program.stat().st_mode | stat.S_IXUSR)

	answer.told = lambda: [line.split() for line in log.read_text().splitlines()] if log.exists() else []
	return answer


BLOCKERS = 'safe_restart_blockers = ["hr.busy"]'
BOTH = 'before_safe_restart = ["hr.stop"]\nafter_safe_restart = ["hr.go_on"]'


def test_an_app_that_objects_is_heeded_and_named(demo, answer):
	answer(BLOCKERS, f"blockers) {OBJECTS} ;;")
	before = worker_pids(demo)
	refused = cli(demo)
	assert refused.exit_code == 4
	assert "Payroll is being submitted (hr.busy, demo.localhost)" in refused.text
	assert "--override-blockers" in refused.text
	assert worker_pids(demo) == before
	assert "Payroll" in cli(demo, "plan").out
	assert cli(demo, "plan", "--json").json["blockers"][0]["by"] == "hr.busy"
	assert_bench_is_healthy(demo)


def test_an_objection_is_overridden_by_a_person_with_a_reason_which_is_kept(demo, answer):
	answer(BLOCKERS, f"blockers) {OBJECTS} ;;")
	without = cli(demo, "--override-blockers")
	assert without.exit_code == 2 and "--reason" in without.text
	done = cli(demo, "--override-blockers", "--reason", "payroll hangs", "--json")
	assert done.exit_code == 0, done.text
	journal = Journal(demo.bench)
	assert journal.request(done.json["request"]).reason == "payroll hangs"
	notes = " ".join(event.text for event in journal.events(done.json["request"]))
	assert "goes on although there is an objection: Payroll" in notes
	assert_bench_is_healthy(demo)


def test_an_app_that_cannot_be_asked_objects(demo, answer):
	answer(BLOCKERS, "blockers) echo 'ImportError: no module hr'; exit 1 ;;")
	refused = cli(demo)
	assert refused.exit_code == 4
	assert "could not be asked: ImportError: no module hr" in refused.text


def test_an_app_that_does_not_answer_in_time_objects(demo, answer, monkeypatch):
	answer(BLOCKERS, "blockers) exec sleep 60 ;;")
	monkeypatch.setattr(app_hooks, "CALL_SECONDS", 0.3)
	(objection,) = app_hooks.objections(demo.bench)
	assert "no answer within 0.3 s" in objection.sentence


def test_apps_are_told_before_and_after_once_each(demo, answer):
	answer(BOTH)
	jobs = run_long(demo, 1, 1)
	done = cli(demo, "--wait-workers", "--json").json
	request = done["request"]
	assert answer.told() == [["before", request], ["after", request, "completed"]]
	assert [step["name"] for step in done["steps"]][-1] == "after-hooks"
	assert_bench_is_healthy(demo, jobs)


def test_apps_that_were_told_before_are_told_after_a_restart_that_gave_up_too(demo, answer):
	answer(BOTH)
	jobs = run_long(demo, 1, 60)
	done = cli(demo, "--wait-workers", "--wait-workers-timeout", "0.5", "--json")
	assert done.exit_code == 3
	assert [told[0] for told in answer.told()] == ["before", "after"]
	assert answer.told()[-1][-1] == "failed"
	end_jobs(demo)
	assert_bench_is_healthy(demo, jobs)


def test_what_an_app_says_afterwards_is_a_warning(demo, answer):
	answer(BOTH, f"after) {OBJECTS} ;;")
	done = cli(demo, "--json")
	assert done.exit_code == 6
	assert any("Payroll" in warning for warning in done.json["warnings"])
	assert_bench_is_healthy(demo)
