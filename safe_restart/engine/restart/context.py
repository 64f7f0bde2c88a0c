"""What never changes while a request is carried out, and its point of no return."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from redis.exceptions import RedisError

from ..core.bench import Bench
from ..core.errors import Cancelled, Unreachable
from ..rq.failures import is_transient
from ..state.journal import Journal
from ..state.locks import BenchLock
from ..state.records import ASK, Request
from ..workers.stopper import PATIENCE_SECONDS

PAUSE_SECONDS = 0.5  # between two attempts while Redis or the process manager is away

Result = TypeVar("Result")


@dataclass(frozen=True)
class RequestContext:
	"""A request with its bench, its journal and its lock.

	is_stop_requested: whether the helper was asked to stop (SIGTERM)
	"""

	bench: Bench
	request: Request
	journal: Journal
	lock: BenchLock
	is_stop_requested: Callable[[], bool]

	def __post_init__(self) -> None:
		self.journal.writer.buffers_failures = False  # nothing of this request has been stopped yet

	@property
	def signature(self) -> str:
		"""Who decides about jobs in this restart, as `safe-restart jobs` shows it."""
		return f"{self.request.requested_by}, request {self.request.id}"

	@property
	def is_past_point_of_no_return(self) -> bool:
		return self.journal.writer.buffers_failures

	def pass_point_of_no_return(self) -> None:
		"""From here on the request is finished and not taken back.

		It cannot be cancelled any more, and goes on even where the journal cannot be written.
		"""
		self.journal.writer.buffers_failures = True

	@property
	def is_asked_to_stop(self) -> bool:
		return self.is_stop_requested() or self.journal.is_cancel_requested(self.request.id)

	def check_cancelled(self) -> None:
		"""Raises Cancelled where a stop was asked for and nothing was stopped yet."""
		if not self.is_past_point_of_no_return and self.is_asked_to_stop:
			raise Cancelled(
				"Cancelled before anything was stopped. No job was interrupted; the bench works as before."
			)

	def note(self, text: str) -> None:
		self.journal.note(self.request.id, text)

	def ask(self, text: str) -> None:
		"""Note what a person has to do now; everybody who follows the request is shown it."""
		self.journal.note(self.request.id, text, ASK)

	def retry_transient(self, action: Callable[[], Result]) -> Result:
		"""Do something that may safely be repeated, and repeat it while Redis or the process manager is away.

		Raises the last error after PATIENCE_SECONDS, at once an error with which Redis answered, and Cancelled.
		"""
		deadline = time.monotonic() + PATIENCE_SECONDS
		noted = ""
		while True:
			try:
				return action()
			except (RedisError, OSError, Unreachable) as error:
				may_pass = isinstance(error, Unreachable) or is_transient(error)
				if not may_pass or time.monotonic() > deadline:
					raise
				if str(error) != noted:
					noted = str(error)
					self.note(f"{error}; trying again")
				self.check_cancelled()
				time.sleep(PAUSE_SECONDS)
