"""What is proven of workers under the flag, from looks one after another, and what may then be done with them."""

import time
from collections.abc import Iterable
from enum import Enum

from ..rq.snapshot import Worker
from .fleet import Fleet

# A job that ends within this time is waited for: its worker then suspends and can go at once.
SHORT_JOB_SECONDS = 0.15


class WorkerPhase(Enum):
	"""What is proven of one worker under the flag."""

	WAITING_IN_REDIS = "waits in Redis"
	SUSPENDED = "suspended"
	BUSY = "in a job"
	ASKED = "was asked to stop already"
	IN_BETWEEN = "in between"


class StopAction(Enum):
	"""What to do with one unit now."""

	UNBLOCK = "CLIENT UNBLOCK"
	SIGNAL = "one SIGTERM"
	ALREADY_ASKED = "was asked already"
	UNPROVEN_STOP = "a stop without proof"
	LOOK_AGAIN = "look again"


def decide_stop(phases: Iterable[WorkerPhase], has_been_waited: bool) -> StopAction:
	"""What may be done with a unit whose workers are in these conditions. Pure.

	has_been_waited: it was in between for IN_BETWEEN_SECONDS, so proof cannot be had (CLIENT is forbidden, say)
	"""
	phases = list(phases)
	if WorkerPhase.ASKED in phases:
		return StopAction.ALREADY_ASKED
	if not phases or WorkerPhase.IN_BETWEEN in phases:
		return StopAction.UNPROVEN_STOP if has_been_waited else StopAction.LOOK_AGAIN
	# The children of a pool that wait are unblocked one by one; their parent brings them back, suspended.
	if WorkerPhase.WAITING_IN_REDIS in phases:
		return StopAction.UNBLOCK
	return StopAction.SIGNAL


class StopSafety:
	"""What was seen of each worker since the flag was set, at `flag_set_at` (seconds since the machine booted).

	before: the look right before, where there was no flag at all then. Who was not suspended in it, or not there, can only
	    become so by ours
	"""

	def __init__(self, suspended_at: float, before: Fleet | None = None):
		self.suspended_at = suspended_at
		self.began = time.monotonic()
		self.first_heartbeat: dict[str, str] = {}
		self.known_before = {worker.name for worker in before.snapshot.workers} if before else None
		self.seen_otherwise = {w.name for w in before.workers if not w.is_suspended} if before else set()
		self.busy_since: dict[str, tuple[str | None, float]] = {}

	def add(self, fleet: Fleet) -> None:
		for worker in fleet.workers:
			self.first_heartbeat.setdefault(worker.name, worker.last_heartbeat)
			if not worker.is_suspended:
				self.seen_otherwise.add(worker.name)
			since = self.busy_since.get(worker.name)
			if not worker.is_busy:
				self.busy_since.pop(worker.name, None)
			elif since is None or since[0] != worker.job_id:
				self.busy_since[worker.name] = (worker.job_id, time.monotonic())

	def has_read_suspension(self, worker: Worker) -> bool:
		"""RQ writes the heartbeat in the transaction in which it reads the flag (rq/suspension.py), so a heartbeat
		that moved since we set the flag, or a worker that came or became suspended since, has read it."""
		moved = worker.last_heartbeat != self.first_heartbeat.get(worker.name, worker.last_heartbeat)
		is_new = self.known_before is not None and worker.name not in self.known_before
		return worker.is_suspended and (moved or is_new or worker.name in self.seen_otherwise)

	def is_in_a_long_job(self, worker: Worker) -> bool:
		since = self.busy_since.get(worker.name, (None, None))[1]
		return since is not None and time.monotonic() - since >= SHORT_JOB_SECONDS

	def phase(self, worker: Worker, waiting: dict[str, int]) -> WorkerPhase:
		if worker.shutdown_requested:
			return WorkerPhase.ASKED
		if self.has_read_suspension(worker):
			return WorkerPhase.SUSPENDED
		if self.is_in_a_long_job(worker):
			return WorkerPhase.BUSY
		if not worker.is_busy and worker.name in waiting:
			return WorkerPhase.WAITING_IN_REDIS
		return WorkerPhase.IN_BETWEEN
