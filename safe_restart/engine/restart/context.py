"""One request as it was asked: what never changes while it is carried out, and the one switch to forward only."""

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

PAUSE_SECONDS = 0.5

Found = TypeVar("Found")


@dataclass(frozen=True)
class RequestContext:
	"""A request, the bench it is for, and what is written down about it."""

	bench: Bench
	request: Request
	journal: Journal
	lock: BenchLock
	is_stop_requested: Callable[[], bool]

	def __post_init__(self) -> None:
		self.journal.writer.buffers_failures = False  # nothing of this request has been stopped yet

	@property
	def signature(self) -> str:
		return f"{self.request.requested_by}, request {self.request.id}"

	@property
	def is_past_point_of_no_return(self) -> bool:
		return self.journal.writer.buffers_failures

	def pass_point_of_no_return(self) -> None:
		"""From here on it goes forward only: it cannot be cancelled, and goes on also where the journal cannot be written."""
		self.journal.writer.buffers_failures = True

	@property
	def is_asked_to_stop(self) -> bool:
		return self.is_stop_requested() or self.journal.is_cancel_requested(self.request.id)

	def check_cancelled(self) -> None:
		"""Raises Cancelled where a person asked for it and nothing was stopped yet."""
		if not self.is_past_point_of_no_return and self.is_asked_to_stop:
			raise Cancelled(
				"Cancelled before anything was stopped. No job was interrupted; the bench works as before."
			)

	def note(self, text: str) -> None:
		self.journal.note(self.request.id, text)

	def ask(self, text: str) -> None:
		"""Say what a person has to do, to everybody who follows."""
		self.journal.note(self.request.id, text, ASK)

	def retry_transient(self, act: Callable[[], Found]) -> Found:
		"""Do something that may safely be repeated, again while Redis or the process manager is away.

		Raises what it raised last after PATIENCE_SECONDS, at once an error with which Redis answered, and Cancelled.
		"""
		deadline = time.monotonic() + PATIENCE_SECONDS
		said = ""
		while True:
			try:
				return act()
			except (RedisError, OSError, Unreachable) as error:
				may_pass = isinstance(error, Unreachable) or is_transient(error)
				if not may_pass or time.monotonic() > deadline:
					raise
				if str(error) != said:
					said = str(error)
					self.note(f"{error}; trying again")
				self.check_cancelled()
				time.sleep(PAUSE_SECONDS)
