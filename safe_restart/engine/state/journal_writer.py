"""Writing the journal, on a disk that may be full."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.errors import Unwritable
from ..core.waiting import wait_until

FLUSH_PAUSE_SECONDS = 0.5


def is_locked(error: object) -> bool:
	"""Whether an error says that another process has locked the journal (sqlite.org/rescode.html#busy)."""
	return "locked" in str(error)


class JournalWriter:
	"""Writes changes into the journal's database, each in a transaction of its own.

	buffers_failures: whether changes that cannot be written are buffered, and written before the next one; otherwise
	    Unwritable is raised. A restart that has begun to stop services must not end for want of its journal.
	problem: why a change could not be written, the last time; empty where all could
	backlog: the changes that are not written yet, the oldest first
	"""

	def __init__(self, path: Path, db: sqlite3.Connection):
		self.path, self.db = path, db
		self.buffers_failures = False
		self.problem = ""
		self.backlog: list[Callable[[], object]] = []

	def execute(self, sql: str, values: tuple[Any, ...], is_end: bool = False) -> None:
		"""Write the change that one SQL statement makes, as `act` does."""
		self.act(lambda: self.db.execute(sql, values), is_end)

	def act(self, change: Callable[[], object], is_end: bool = False) -> None:
		"""Write one change, after those that could not be written before. Raises Unwritable.

		is_end: it is the end of a request or of a failed step, and is buffered in any case
		"""
		self.backlog.append(change)
		try:
			self.write_backlog()
		except sqlite3.Error as error:
			self.problem = str(error)
			if self.buffers_failures or is_end:
				return
			self.backlog.pop()
			raise self.unwritable(error) from None
		except BaseException:
			self.backlog.pop()
			raise

	def unwritable(self, error: Exception) -> Unwritable:
		"""The error to raise where the journal cannot be written, before anything was stopped."""
		return Unwritable(
			f"The journal {self.path} cannot be written ({error}). Nothing was stopped, and the bench works as before. To go on, "
			f"{self.fix(error)}, then type it again."
		)

	def fix(self, error: object) -> str:
		"""What a person does about an error, as part of a sentence."""
		return (
			f"end the process that has locked it (`fuser {self.path}`)"
			if is_locked(error)
			else "make room on its disk"
		)

	@property
	def write_problem(self) -> str:
		"""A sentence about changes that could not be written, for a while or to the end; empty where all could."""
		if not self.problem:
			return ""
		return f"the journal could not be written for a while ({self.problem}): {self.fix(self.problem)}"

	def write_backlog(self) -> None:
		"""Write all of the backlog, in one transaction. Raises sqlite3.Error; the backlog then stays as it is."""
		try:
			self.db.execute("BEGIN IMMEDIATE")
			for change in self.backlog:
				change()
			self.db.execute("COMMIT")
		except BaseException:
			# SQLite may have rolled back by itself (sqlite.org/lang_transaction.html).
			with suppress(sqlite3.Error):
				self.db.execute("ROLLBACK")
			raise
		self.backlog.clear()

	def flush(self, patience_seconds: float) -> bool:
		"""Try for this long to write the backlog; False where that was not possible."""
		return wait_until(self.has_written_backlog, patience_seconds, FLUSH_PAUSE_SECONDS)

	def has_written_backlog(self) -> bool:
		"""Try once to write the backlog; True where nothing is left of it."""
		try:
			if self.backlog:
				self.write_backlog()
		except sqlite3.Error:
			return False
		return True
