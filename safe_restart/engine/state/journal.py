"""The journal: requests with their steps, events and reports, in SQLite, readable after a crash at any point.

There is one file per bench, in `sites/`, which all processes and containers of a bench share. SQLite's rollback journal
is used and not its WAL, whose shared memory does not work on network file systems (sqlite.org/wal.html).
"""

import json
import os
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.bench import Bench
from ..core.errors import Refused, Unreadable
from ..core.files import give_to_owner
from ..core.timestamps import utc_now
from .journal_writer import JournalWriter, is_locked
from .locks import HelperLock
from .records import NOTE, OPEN, QUEUED, RUNNING, Event, Request, Step, new_id, read_request
from .schema import bring_up_to_date

BUSY_TIMEOUT_SECONDS = 10
KEPT_REQUESTS = 500


class Journal:
	"""The journal of one bench. Each method is one transaction, so what a crash leaves behind is true.

	Methods that write raise Unwritable, unless `writer` is to buffer what fails. Methods that read raise Unreadable
	where another process has locked the journal for BUSY_TIMEOUT_SECONDS, or the file is damaged.

	writer: writes all changes
	last_word: what `write_report` was last given, in case that it could not be written
	remembered: what `remember` was given, by request, in case that it could not be written
	numbers: the number of the last step that was started, by request
	helper_locks: of the requests that this process carries out
	"""

	def __init__(self, bench: Bench):
		"""Open the journal, or make it where it is missing.

		Raises Refused where that is not possible, and Unreadable where another process has locked it.
		"""
		self.path = journal_path(bench)
		self.last_word: dict[str, Any] | None = None
		self.remembered: dict[str, dict[str, Any]] = {}
		self.numbers: dict[str, int] = {}
		self.helper_locks: dict[str, HelperLock] = {}
		try:
			prepare(self.path)
			self.db = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
			self.db.row_factory = sqlite3.Row
			bring_up_to_date(self.db)
			self.writer = JournalWriter(self.path, self.db)
		except (OSError, sqlite3.Error) as error:
			if is_locked(error):
				raise self.unreadable(error) from None
			raise Refused(
				f"The journal {self.path} cannot be opened ({error}). Nothing was touched. Run this as the bench's "
				"owner or with sudo, and see that the disk has room."
			) from None

	def read(self, sql: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
		"""The rows that a query finds. Raises Unreadable."""
		try:
			return self.db.execute(sql, values).fetchall()
		except sqlite3.Error as error:
			raise self.unreadable(error) from None

	def unreadable(self, error: Exception) -> Unreadable:
		"""The error to raise where the journal cannot be read."""
		if is_locked(error):
			why = "another process has locked it and does not go on, such as a helper that is frozen"
			fix = f"Try again in a minute; `fuser {self.path}` names the process."
		else:
			why = "it is damaged"
			fix = (
				f"Move it away: `mv {self.path} {self.path}.damaged`; a new one is made, without the history."
			)
		return Unreadable(
			f"The journal {self.path} cannot be read ({error}): {why}. This command touched nothing. {fix}"
		)

	def add(
		self, strategy: str, options: dict[str, Any], requested_by: str, reason: str = "", id: str = ""
	) -> Request:
		"""Write a new request, with the id that was given or a new one. It is carried out when a helper begins it."""
		id = id or new_id()
		row = (id, utc_now(), strategy, json.dumps(options), requested_by, reason, QUEUED)

		def change() -> None:
			self.db.execute(
				"INSERT INTO requests (id, created_at, strategy, options, requested_by, reason, status) "
				"VALUES (?, ?, ?, ?, ?, ?, ?)",
				row,
			)
			self.forget_old()

		self.writer.act(change)
		return self.request(id)

	def request(self, id: str) -> Request:
		"""Read one request, with what was remembered of it. Raises Refused where there is none with this id."""
		rows = self.read("SELECT * FROM requests WHERE id = ?", (id,))
		if not rows:
			raise Refused(f"There is no request {id!r} here. `safe-restart history` lists them.")
		found = read_request(rows[0])
		return replace(found, state={**found.state, **self.remembered.get(id, {})})

	def requests(self, limit: int = 20, before: str | None = None) -> list[Request]:
		"""Read requests, the newest first; with `before`, only those that were made before the request with that id."""
		rows = self.read(
			"SELECT * FROM requests WHERE rowid < coalesce((SELECT rowid FROM requests WHERE id = ?), ?) "
			"ORDER BY rowid DESC LIMIT ?",
			(before, sys.maxsize, limit),
		)
		return [read_request(row) for row in rows]

	def open_requests(self) -> list[Request]:
		"""Read the requests that have not ended, the oldest first."""
		marks = ",".join("?" * len(OPEN))
		rows = self.read(f"SELECT * FROM requests WHERE status IN ({marks}) ORDER BY rowid", OPEN)
		return [read_request(row) for row in rows]

	def begin(self, id: str) -> None:
		"""Note that this process carries out the request from now on, even if another process did so before."""
		lock = self.helper_locks.setdefault(id, HelperLock(self.path.parent, id))
		try:
			lock.take()
		except OSError as error:
			raise self.writer.unwritable(error) from None
		self.writer.execute(
			"UPDATE requests SET status = ?, started_at = coalesce(started_at, ?), helper_pid = ? WHERE id = ?",
			(RUNNING, utc_now(), os.getpid(), id),
		)

	def is_abandoned(self, request: Request) -> bool:
		"""Whether the helper that began an open request is dead, in this container or another."""
		return request.helper_pid is not None and HelperLock(self.path.parent, request.id).is_free()

	def abandoned(self) -> list[Request]:
		"""Read the requests that were begun and have not ended, and whose helper is dead; the oldest first."""
		begun = [request for request in self.open_requests() if request.status != QUEUED]
		return [request for request in begun if self.is_abandoned(request)]

	def write_report(
		self, id: str, status: str, exit_code: int, outcome: str, report: dict[str, Any] | None
	) -> None:
		"""Write what became of a request; with the status WATCHING it stays open until the stragglers have ended."""
		finished = None if status in OPEN else utc_now()
		self.last_word = dict(
			id=id, status=status, exit_code=exit_code, outcome=outcome, report=report, finished_at=finished
		)
		self.writer.execute(
			"UPDATE requests SET status = ?, exit_code = ?, outcome = ?, report = ?, finished_at = ? WHERE id = ?",
			(status, exit_code, outcome, json.dumps(report), finished, id),
			is_end=bool(finished),
		)
		if finished and id in self.helper_locks:
			self.helper_locks.pop(id).end()

	def ask_to_cancel(self, id: str) -> None:
		"""Note that a person wants the request cancelled; its helper acts on it."""
		self.writer.execute("UPDATE requests SET cancel_requested = 1 WHERE id = ?", (id,))

	def is_cancel_requested(self, id: str) -> bool:
		"""Whether a person wants the request cancelled. Never raises."""
		try:
			rows = self.read("SELECT cancel_requested FROM requests WHERE id = ?", (id,))
		except Unreadable:  # then nobody could write that either
			return False
		return bool(rows and rows[0][0])

	def start_step(self, id: str, name: str) -> int:
		"""Write that a step begins, before it acts; returns its number."""
		try:
			written = self.read("SELECT count(*) FROM steps WHERE request = ?", (id,))[0][0]
		except Unreadable:
			if not self.writer.buffers_failures:
				raise
			written = 0
		number = self.numbers[id] = 1 + max(written, self.numbers.get(id, 0))
		self.writer.execute(
			"INSERT INTO steps (request, number, name, status, started_at) VALUES (?, ?, ?, 'doing', ?)",
			(id, number, name, utc_now()),
		)
		return number

	def end_step(self, id: str, number: int, status: str, detail: str = "") -> None:
		"""Write how a step ended, after it acted; `status` is done or failed."""
		self.writer.execute(
			"UPDATE steps SET status = ?, detail = ?, finished_at = ? WHERE request = ? AND number = ?",
			(status, detail, utc_now(), id, number),
			is_end=status == "failed",
		)

	def steps(self, id: str) -> list[Step]:
		"""Read the steps of a request that have begun, in order."""
		rows = self.read(
			"SELECT number, name, status, started_at, finished_at, detail FROM steps WHERE request = ? ORDER BY number",
			(id,),
		)
		return [Step(*row) for row in rows]

	def note(self, id: str, text: str, kind: str = NOTE) -> None:
		"""Write an event for those who follow the request: one sentence, or one line of output."""
		self.writer.execute(
			"INSERT INTO events (request, at, kind, text) VALUES (?, ?, ?, ?)", (id, utc_now(), kind, text)
		)

	def remember(self, id: str, **values: Any) -> None:
		"""Write what is needed to undo or finish a request. To be called before acting."""
		self.remembered.setdefault(id, {}).update(values)

		def change() -> None:
			row = self.db.execute("SELECT state FROM requests WHERE id = ?", (id,)).fetchone()
			state = {**json.loads(row[0]), **values}
			self.db.execute("UPDATE requests SET state = ? WHERE id = ?", (json.dumps(state), id))

		self.writer.act(change)

	def ask_again(self, id: str) -> None:
		"""Reopen a request that has ended, so that a helper can carry it out once more."""
		self.writer.execute(
			"UPDATE requests SET status = ?, cancel_requested = 0, exit_code = NULL, finished_at = NULL, "
			"helper_pid = NULL WHERE id = ?",
			(QUEUED, id),
		)

	def events(self, id: str, after: int = 0) -> list[Event]:
		"""Read the events of a request, in order; those with a number above `after`."""
		rows = self.read(
			"SELECT number, at, kind, text FROM events WHERE request = ? AND number > ? ORDER BY number",
			(id, after),
		)
		return [Event(*row) for row in rows]

	def forget_old(self) -> None:
		"""Delete all requests but the newest KEPT_REQUESTS, in the caller's transaction."""
		for table, column in (("requests", "id"), ("steps", "request"), ("events", "request")):
			self.db.execute(
				f"DELETE FROM {table} WHERE {column} NOT IN "
				"(SELECT id FROM requests ORDER BY rowid DESC LIMIT ?)",
				(KEPT_REQUESTS,),
			)


def journal_path(bench: Bench) -> Path:
	"""The file of a bench's journal."""
	return bench.state_path / "journal.sqlite3"


def prepare(path: Path) -> None:
	"""Make the journal's folder (0700) and file (0600), with the owner of `sites/` even where root runs this first."""
	folder = path.parent
	folder.mkdir(mode=0o700, exist_ok=True)
	if not path.exists():
		os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
	give_to_owner(folder, folder.parent)
	give_to_owner(path, folder.parent)
