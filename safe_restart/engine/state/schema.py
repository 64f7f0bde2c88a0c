"""The tables of the journal."""

SCHEMA = """
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
