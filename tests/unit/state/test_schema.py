"""The journals of earlier versions are opened, and become the present one."""

import json
import sqlite3

import pytest

from safe_restart.engine.core.bench import Bench
from safe_restart.engine.restart.recovery import RecoveryAction, recovery_action_of
from safe_restart.engine.restart.strategies import restart_mode_of
from safe_restart.engine.state import schema
from safe_restart.engine.state.journal import Journal

# As 0.1.0 made its tables.
VERSION_0_1_0 = """
CREATE TABLE requests (
	id TEXT PRIMARY KEY, created_at TEXT NOT NULL, strategy TEXT NOT NULL, options TEXT NOT NULL,
	requested_by TEXT NOT NULL, reason TEXT NOT NULL, status TEXT NOT NULL, exit_code INTEGER, outcome TEXT,
	started_at TEXT, finished_at TEXT, helper_pid INTEGER,
	cancel_requested INTEGER NOT NULL DEFAULT 0, report TEXT, state TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE steps (
	request TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
	started_at TEXT NOT NULL, finished_at TEXT, detail TEXT NOT NULL DEFAULT '', PRIMARY KEY (request, number)
);
CREATE TABLE events (
	number INTEGER PRIMARY KEY AUTOINCREMENT, request TEXT NOT NULL, at TEXT NOT NULL,
	kind TEXT NOT NULL, text TEXT NOT NULL
);
"""
# One of the weeks before it, which knew no state, no report and no wish to cancel.
BEFORE_0_1_0 = """
CREATE TABLE requests (
	id TEXT PRIMARY KEY, created_at TEXT NOT NULL, strategy TEXT NOT NULL, options TEXT NOT NULL,
	requested_by TEXT NOT NULL, reason TEXT NOT NULL, status TEXT NOT NULL, started_at TEXT, finished_at TEXT
);
CREATE TABLE steps (
	request TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
	started_at TEXT NOT NULL, PRIMARY KEY (request, number)
);
"""
AT = "2026-11-20T10:00:00.000Z"


@pytest.fixture
def bench(tmp_path) -> Bench:
	(tmp_path / "sites/.safe-restart").mkdir(parents=True)
	return Bench(tmp_path, {})


def fill(bench: Bench, tables: str, requests: list[tuple], steps: list[tuple] = ()) -> None:
	with sqlite3.connect(bench.state_path / "journal.sqlite3") as db:
		db.executescript(tables)
		for id, strategy, options, state in requests:
			row = {"id": id, "created_at": AT, "strategy": strategy, "options": json.dumps(options)}
			row |= {"requested_by": "somebody", "reason": "", "status": "running"}
			if state is not None:
				row["state"] = json.dumps(state)
			names = ", ".join(row)
			db.execute(
				f"INSERT INTO requests ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
			)
		for request, number, name in steps:
			db.execute(
				"INSERT INTO steps (request, number, name, status, started_at) VALUES (?, ?, ?, 'done', ?)",
				(request, number, name, AT),
			)


def test_a_new_journal_has_the_present_version(bench):
	assert schema.version_of(Journal(bench).db) == schema.VERSION
	assert list(schema.MIGRATIONS) == list(range(1, schema.VERSION + 1))


def test_what_0_1_0_left_unfinished_is_recovered_as_it_would_have_been(bench):
	state = {"incarnations": ["12"], "left_down": ["web"], "way": "in turn", "prior": {"a": {}}}
	requests = [
		("one", "rolling", {"migrate": False}, {}),
		("two", "wait-workers", {"migrate": True}, state),
		("three", "wait-workers", {"migrate": False}, {}),
		("four", "rolling", {"migrate": True, "allow_running_jobs": True}, {}),
	]
	steps = [
		("one", 1, "drain"),
		("two", 1, "drain"),
		("two", 2, "halt"),
		("three", 1, "drain"),
		("four", 1, "drain"),
	]
	fill(bench, VERSION_0_1_0, requests, steps)
	journal = Journal(bench)
	names = {id: [step.name for step in journal.steps(id)] for id, *_ in requests}
	assert names == {
		"one": ["request-stop"],
		"two": ["drain", "stop-for-migration"],
		"three": ["drain"],
		"four": ["drain"],
	}
	actions = {id: recovery_action_of(journal.request(id), journal.steps(id)) for id in names}
	assert actions["one"] is actions["two"] is RecoveryAction.ROLL_FORWARD
	assert actions["three"] is actions["four"] is RecoveryAction.ROLL_BACK
	found = journal.request("two")
	assert restart_mode_of(found) == "sequential"
	assert found.state["process_identities"] == ["12"] and found.state["prior"] == {"a": {}}
	assert found.state["intentionally_stopped"] == ["web"]


def test_a_journal_that_lacks_columns_is_read_and_written(bench):
	fill(bench, BEFORE_0_1_0, [("old", "rolling", {}, None)], [("old", 1, "preflight")])
	journal = Journal(bench)
	assert journal.request("old").report is None and journal.steps("old")[0].detail == ""
	journal.ask_to_cancel("old")
	journal.remember("old", answered=["a"])
	assert journal.request("old").cancel_requested and journal.request("old").state == {"answered": ["a"]}


def test_a_journal_of_a_later_version_is_left_as_it_is_and_can_be_read(bench):
	journal = Journal(bench)
	request = journal.add("rolling", {}, "somebody")
	journal.db.execute("ALTER TABLE requests ADD COLUMN mood TEXT")
	journal.db.execute(f"PRAGMA user_version = {schema.VERSION + 5}")
	journal.db.close()
	again = Journal(bench)
	assert schema.version_of(again.db) == schema.VERSION + 5
	assert again.request(request.id).strategy == "rolling"


def test_a_migration_that_fails_leaves_the_journal_as_it_was(bench, monkeypatch):
	fill(bench, VERSION_0_1_0, [("one", "rolling", {}, {})], [("one", 1, "drain")])

	def fail(db):
		db.execute("UPDATE steps SET name = 'half'")
		raise sqlite3.OperationalError("disk I/O error")

	monkeypatch.setitem(schema.MIGRATIONS, 2, fail)
	with sqlite3.connect(bench.state_path / "journal.sqlite3", isolation_level=None) as db:
		with pytest.raises(sqlite3.OperationalError):
			schema.bring_up_to_date(db)
		assert schema.version_of(db) == 0
		assert db.execute("SELECT name FROM steps").fetchall() == [("drain",)]
