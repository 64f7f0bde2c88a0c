"""The tables of the journal, and the migrations of journals that earlier versions of the app wrote.

`PRAGMA user_version` holds the version of the tables. The app's version 0.1.0 wrote none, so a journal that has
tables and no version is of 0.1.0.
"""

import json
import sqlite3
from collections.abc import Callable

VERSION = 2  # of the tables; a migration that was released never changes again

TABLES = """
CREATE TABLE IF NOT EXISTS requests (
	id TEXT PRIMARY KEY, created_at TEXT NOT NULL, strategy TEXT NOT NULL, options TEXT NOT NULL,
	requested_by TEXT NOT NULL, reason TEXT NOT NULL, status TEXT NOT NULL, exit_code INTEGER, outcome TEXT,
	started_at TEXT, finished_at TEXT, helper_pid INTEGER,
	cancel_requested INTEGER NOT NULL DEFAULT 0, report TEXT, state TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE IF NOT EXISTS steps (
	request TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
	started_at TEXT NOT NULL, finished_at TEXT, detail TEXT NOT NULL DEFAULT '', PRIMARY KEY (request, number)
);
CREATE TABLE IF NOT EXISTS events (
	number INTEGER PRIMARY KEY AUTOINCREMENT, request TEXT NOT NULL, at TEXT NOT NULL,
	kind TEXT NOT NULL, text TEXT NOT NULL
);
"""

# Columns that a table from before 0.1.0 may lack, with what ALTER TABLE needs.
LATE_COLUMNS = {
	"requests": {
		"helper_pid": "INTEGER",
		"cancel_requested": "INTEGER NOT NULL DEFAULT 0",
		"report": "TEXT",
		"state": "TEXT NOT NULL DEFAULT '{}'",
		"outcome": "TEXT",
		"exit_code": "INTEGER",
	},
	"steps": {"detail": "TEXT NOT NULL DEFAULT ''", "finished_at": "TEXT"},
}

STEPS_RENAMED = {"halt": "stop-for-migration", "unwind": "roll-back"}
# In 0.1.0 the step of these strategies that asked workers to stop was called drain.
ASKED_IN_DRAIN = ("rolling", "no-wait-workers", "suspend-rq", "now", "leave")
STATE_RENAMED = {
	"way": "restart_mode",
	"incarnations": "process_identities",
	"left_down": "intentionally_stopped",
}
MODES_RENAMED = {"each": "individual", "in turn": "sequential", "by hand": "manual"}


def bring_up_to_date(db: sqlite3.Connection) -> None:
	"""Make the tables, or migrate those of an earlier version. Raises sqlite3.Error; the journal is then as it was.

	A journal that a later version of the app has written stays as it is; columns that are unknown here are not read.
	"""
	if version_of(db) >= VERSION:
		return
	db.execute("BEGIN IMMEDIATE")
	try:
		# The version is read again, since another process may have migrated in between.
		for version in range(version_of(db) + 1, VERSION + 1):
			MIGRATIONS[version](db)
			db.execute(f"PRAGMA user_version = {version}")
		db.execute("COMMIT")
	except BaseException:
		db.execute("ROLLBACK")
		raise


def version_of(db: sqlite3.Connection) -> int:
	"""The version of a journal's tables; 0 where there are none, or 0.1.0 made them."""
	return db.execute("PRAGMA user_version").fetchone()[0]


def make_tables(db: sqlite3.Connection) -> None:
	"""Make the tables of 0.1.0, or add the columns that earlier ones lack."""
	for statement in filter(str.strip, TABLES.split(";")):
		db.execute(statement)
	for table, columns in LATE_COLUMNS.items():
		present = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
		for name, kind in columns.items():
			if name not in present:
				db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")


def rename_steps_and_state(db: sqlite3.Connection) -> None:
	"""Give steps and states the names of 0.2.0, so that a request which 0.1.0 left unfinished can be recovered."""
	for old, new in STEPS_RENAMED.items():
		db.execute("UPDATE steps SET name = ? WHERE name = ?", (new, old))
	marks = ",".join("?" * len(ASKED_IN_DRAIN))
	db.execute(
		"UPDATE steps SET name = 'request-stop' WHERE name = 'drain' AND request IN (SELECT id FROM requests "
		f"WHERE strategy IN ({marks}) AND options NOT LIKE '%\"migrate\": true%')",
		ASKED_IN_DRAIN,
	)
	for id, text in db.execute("SELECT id, state FROM requests WHERE state != '{}'").fetchall():
		state = {STATE_RENAMED.get(name, name): value for name, value in json.loads(text).items()}
		if "restart_mode" in state:
			state["restart_mode"] = MODES_RENAMED.get(state["restart_mode"], state["restart_mode"])
		db.execute("UPDATE requests SET state = ? WHERE id = ?", (json.dumps(state), id))


MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {1: make_tables, 2: rename_steps_and_state}
