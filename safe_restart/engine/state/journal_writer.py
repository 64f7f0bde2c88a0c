"""Writing the journal on a disk that may be full."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.errors import Unwritable

FLUSH_PAUSE_SECONDS = 0.5


def is_locked(error: object) -> bool:
	"""Whether somebody else who writes it stands still (sqlite.org/rescode.html#busy)."""
	return "locked" in str(error)


class JournalWriter:
	"""Writes changes into the journal's database, each in a transaction of its own.

	goes_on: what cannot be written is kept and written with what comes next, since a restart that has begun to stop
	    things must not end there; otherwise that raises Unwritable
	problem: why something could not be written, the last time
	"""

	def __init__(self, path: Path, db: sqlite3.Connection):
		self.path, self.db = path, db
		self.buffers_failures = False
		self.problem = ""
		self.backlog: list[Callable[[], object]] = []

	def execute(self, sql: str, values: tuple[Any, ...], is_end: bool = False) -> None:
		self.act(lambda: self.db.execute(sql, values), is_end)

	def act(self, change: Callable[[], object], is_end: bool = False) -> None:
		"""Write one change, after those that could not be written before; an end is kept in any case. Raises Unwritable."""
		self.backlog.append(change)
		try:
			self.write()
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
		return Unwritable(
			f"The journal {self.path} cannot be written ({error}). Nothing was stopped, and the bench works as before. To go on, "
			f"{self.fix(error)}, then type it again."
		)

	def fix(self, error: object) -> str:
		return f"end who holds it (`fuser {self.path}`)" if is_locked(error) else "make room on its disk"

	@property
	def write_problem(self) -> str:
		"""A sentence where something could not be written, for a while or to the end; otherwise empty."""
		if not self.problem:
			return ""
		return f"the journal could not be written for a while ({self.problem}): {self.fix(self.problem)}"

	def write(self) -> None:
		"""The backlog, in one transaction. Raises sqlite3.Error; all of it is then kept."""
		try:
			self.db.execute("BEGIN IMMEDIATE")
			for change in self.backlog:
				change()
			self.db.execute("COMMIT")
		except BaseException:
			# SQLite may have done so by itself (sqlite.org/lang_transaction.html)
			with suppress(sqlite3.Error):
				self.db.execute("ROLLBACK")
			raise
		self.backlog.clear()

	def flush(self, patience_seconds: float) -> bool:
		"""Try so long to write what is left; False where that is not to be."""
		deadline = time.monotonic() + patience_seconds
		while self.backlog:
			try:
				self.write()
			except sqlite3.Error:
				if time.monotonic() > deadline:
					return False
				time.sleep(FLUSH_PAUSE_SECONDS)
		return True
