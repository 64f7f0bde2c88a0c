"""What snapshots prove of workers under the suspension, and what may then be done with each."""

import time
from collections.abc import Iterable
from enum import Enum

from ..rq.snapshot import Worker
from .fleet import Fleet

# A job that ends within this time is waited for: its worker is then suspended and can stop at once.
SHORT_JOB_SECONDS = 0.15


class WorkerPhase(Enum):
	"""What is proven of one worker under the suspension."""

	WAITING_IN_REDIS = "waits in Redis"
	SUSPENDED = "suspended"
	BUSY = "in a job"
	ASKED = "was asked to stop already"
	IN_BETWEEN = "in between"


class StopAction(Enum):
	"""What to do with one worker program now."""

	UNBLOCK = "CLIENT UNBLOCK"
	SIGNAL = "one SIGTERM"
	ALREADY_ASKED = "was asked already"
	UNPROVEN_STOP = "a stop without proof"
	LOOK_AGAIN = "look again"


def decide_stop(phases: Iterable[WorkerPhase], has_been_waited: bool) -> StopAction:
	"""What may be done with a worker program whose workers are in these phases. Pure.

	has_been_waited: proof was waited for during IN_BETWEEN_SECONDS; it cannot be had where Redis forbids CLIENT
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
	"""Collects what snapshots say of each worker since the queues were suspended.

	suspended_at: in seconds since the machine booted
	before: the workers right before, if there was no suspension then: those that were not suspended or not there can only
	    have been suspended by this one
	"""

	def __init__(self, suspended_at: float, before: Fleet | None = None):
		self.suspended_at = suspended_at
		self.began = time.monotonic()
		self.first_heartbeat: dict[str, str] = {}
		self.known_before = {worker.name for worker in before.snapshot.workers} if before else None
		self.seen_otherwise = {w.name for w in before.workers if not w.is_suspended} if before else set()
		self.busy_since: dict[str, tuple[str | None, float]] = {}

	def add(self, fleet: Fleet) -> None:
		"""Take in what was read under the suspension."""
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
		"""Whether a worker provably read the suspension since it was set.

		RQ writes the heartbeat in the transaction in which it reads the suspension (rq/suspension.py). So a suspended worker
		has read this one if its heartbeat moved since then, or if it came or became suspended since then.
		"""
		moved = worker.last_heartbeat != self.first_heartbeat.get(worker.name, worker.last_heartbeat)
		is_new = self.known_before is not None and worker.name not in self.known_before
		return worker.is_suspended and (moved or is_new or worker.name in self.seen_otherwise)

	def is_in_a_long_job(self, worker: Worker) -> bool:
		"""Whether it has been in the same job for SHORT_JOB_SECONDS."""
		since = self.busy_since.get(worker.name, (None, None))[1]
		return since is not None and time.monotonic() - since >= SHORT_JOB_SECONDS

	def phase(self, worker: Worker, waiting: dict[str, int]) -> WorkerPhase:
		"""What is proven of a worker. `waiting` has the workers that wait in Redis, as FleetReader.waiting returns them."""
		if worker.shutdown_requested:
			return WorkerPhase.ASKED
		if self.has_read_suspension(worker):
			return WorkerPhase.SUSPENDED
		if self.is_in_a_long_job(worker):
			return WorkerPhase.BUSY
		if not worker.is_busy and worker.name in waiting:
			return WorkerPhase.WAITING_IN_REDIS
		return WorkerPhase.IN_BETWEEN
