"""Stopping a worker without losing a job: each is told to go once, at a moment when it holds no popped job.

Between the pop of a job and the moment a worker is busy (1 to 4 ms) any stop signal loses that job (FACTS 1.2), so
a worker is told to go only while it provably cannot pop:

- it waits in Redis: CLIENT UNBLOCK answers 1 only for a client that was given nothing, and the worker leaves
- it is suspended: it has read the flag since we set it, and reads nothing else
- it is in a job while the flag is set: after the job it meets the flag before the next pop. One SIGTERM, never two,
  since the second would kill the job (FACTS 1.4)
- in between: look again
"""

import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from redis.exceptions import RedisError

from ..core.waiting import LOOK_INTERVAL_SECONDS
from ..managers.base import RestartMode
from ..processes import tree
from ..processes.tree import ProcessHandle
from ..rq.failures import is_transient
from ..rq.snapshot import RqSnapshot, Worker
from ..rq.suspension import Lease
from . import identity
from .fleet import Fleet, FleetReader, WorkerProgram
from .stop_request import HANG_SECONDS, StopRequest
from .stop_safety import StopAction, StopSafety, WorkerPhase, decide_stop

# How long a worker may stay in between before the next way of stopping it is tried. RQ's registry maintenance, during
# which an idle worker does not wait in Redis, takes well under a second.
IN_BETWEEN_SECONDS = 2
# A warm shutdown is confirmed by `shutdown_requested_date` in the worker's hash within milliseconds.
CONFIRM_SECONDS = 5
# A Redis that was killed is back within seconds, unless a large append-only file has to be read.
PATIENCE_SECONDS = 60
MAX_PAUSE_SECONDS = 1


def pids_of_idle(programs: Iterable[WorkerProgram]) -> dict[str, int]:
	"""Of all workers of these units but those in a job."""
	busy = {worker.name for program in programs for worker in program.workers if worker.is_busy}
	return {
		name: pid for program in programs for name, pid in program.pids_by_worker.items() if name not in busy
	}


class WorkerStopper:
	"""Tells the units of a bench to go, each once in the life of a restart."""

	def __init__(
		self,
		fleet_reader: FleetReader,
		lease: Lease,
		note: Callable[[str], None],
		check_cancelled: Callable[[], None] = lambda: None,
	):
		self.fleet_reader = fleet_reader
		self.lease = lease
		self.note = note
		self.check_cancelled = check_cancelled
		self.stop_requests: dict[str, StopRequest] = {}
		self.unblocked: set[str] = set()  # names of workers
		self.suspension_token = ""
		self.stop_safety = StopSafety(tree.uptime())

	def take_suspension(self) -> None:
		"""Set the flag, and begin to gather evidence: what was seen earlier proves nothing. Raises RedisError."""
		before = self.fleet_reader.read()
		self.lease.take()
		self.suspension_token = self.lease.holder
		self.stop_safety = StopSafety(tree.uptime(), before if before.snapshot.suspended_by is None else None)

	def poll(self, patience_seconds: float = PATIENCE_SECONDS) -> Fleet:
		"""One look under the flag. Where the flag was gone or is another one, or Redis was, it is set again and all begins
		anew: in between a worker may have gone on.

		Raises RedisError where Redis is away for longer than `patience_seconds`, and what check_cancelled raises.
		"""
		away_since, pause = None, LOOK_INTERVAL_SECONDS
		while True:
			try:
				if away_since is not None:
					self.take_suspension()
				fleet = self.fleet_reader.read()
				if fleet.snapshot.suspended_by == self.suspension_token:
					self.stop_safety.add(fleet)
					return fleet
				was = "changed hands" if fleet.snapshot.suspended_by else "was gone and was taken again"
				self.note(f"the suspension {was}; all workers are looked at anew")
				self.take_suspension()
			except (RedisError, OSError) as error:
				if not is_transient(error):
					raise
				if away_since is None:
					away_since = time.monotonic()
					self.note(f"Redis went away ({error}); waiting for it")
				if time.monotonic() - away_since > patience_seconds:
					raise
				self.check_cancelled()
				time.sleep(pause)
				pause = min(2 * pause, MAX_PAUSE_SECONDS)

	def request_stop(self, programs: Iterable[WorkerProgram]) -> None:
		"""Tell each of these units to go, under a flag that has been set and stays set until this returns.

		Returns when each was told and it is safe to lift the flag: those that were suspended are gone, those in a
		job have confirmed. Raises RedisError where Redis goes away for good.
		"""
		since = time.monotonic()
		old = {program.name: program for program in programs}
		names = set(old)
		while names:
			fleet = self.poll()
			self._notice_who_left(fleet, old, self.has_waited(since))
			self._stop_who_can_go(fleet, names, self.has_waited(since))
			self._stop_late_children(fleet, names)
			self.hasten(fleet.snapshot)
			unsettled = [
				name for name in names if name not in self.stop_requests or not self._is_settled(name, fleet)
			]
			if not unsettled:
				return
			if (
				names <= set(self.stop_requests)
				and time.monotonic() - since > IN_BETWEEN_SECONDS + CONFIRM_SECONDS
			):
				self.note(
					f"{', '.join(unsettled)} did not confirm in {CONFIRM_SECONDS} s that it was told to go"
				)
				return
			time.sleep(LOOK_INTERVAL_SECONDS)

	def is_leaving(self, program: WorkerProgram) -> bool:
		"""Whether the process of this unit was unblocked and is on its way out: it can take nothing any more."""
		return (
			self._is_on_its_way(program) and self.stop_requests[program.name].how == StopAction.UNBLOCK.value
		)

	@property
	def may_leave(self) -> bool:
		"""Whether a worker may end by itself, as it does when it is unblocked. In the foreground that would end all."""
		return self.fleet_reader.manager.restart_mode == RestartMode.INDIVIDUAL

	def has_waited(self, since: float) -> bool:
		"""Whether proof has been looked for long enough since then (monotonic), and since the evidence began."""
		return time.monotonic() - max(since, self.stop_safety.began) > IN_BETWEEN_SECONDS

	def wake(self, fleet: Fleet, unproven: Iterable[Worker], has_been_waited: bool) -> None:
		"""Replace idle workers, so that they come back suspended: an idle one never notices the flag (FACTS 1.1).

		Strays, which somebody else keeps, are left. Where no proof can be had that a worker waits, and that has
		been waited for, it is stopped in the next best way.
		"""
		names = {worker.name for worker in unproven}
		waiting = self.fleet_reader.waiting(
			{name: pid for name, pid in pids_of_idle(fleet.programs).items() if name in names}
		)
		for program in fleet.programs:
			idle = names & set(program.pids_by_worker)
			process = self.fleet_reader.manager.process(program.service)
			unblocked = self._unblock(program, waiting)
			if self._leaves(program, unblocked):
				self._record(program, process, StopAction.UNBLOCK.value, False)
			elif idle and not unblocked and has_been_waited and program.name not in self.stop_requests:
				self._record(program, process, self._stop_unproven(program), False)

	def hasten(self, snapshot: RqSnapshot) -> None:
		"""End workers that have said goodbye to Redis and linger: RQ may wait a second for a thread of its own
		(`join(timeout=1)` in Worker.unsubscribe), while nobody serves their queues."""
		registered = {worker.name for worker in snapshot.workers}
		for asked in self.stop_requests.values():
			if not asked.lingers or asked.process is None:
				continue
			if asked.hangs:
				name = f"{asked.program.name} (pid {asked.process.pid})"
				self.note(f"{name} holds no job and did not leave within {HANG_SECONDS} s; it was killed")
				tree.kill(tree.family(asked.process))
			elif not registered & {worker.name for worker in asked.program.workers}:
				tree.kill([asked.process])

	def _stop_who_can_go(self, fleet: Fleet, names: set[str], waited: bool) -> None:
		programs = [
			program
			for program in fleet.programs
			if program.name in names and program.name not in self.stop_requests
		]
		waiting = self.fleet_reader.waiting(pids_of_idle(programs)) if self.may_leave else {}
		for program in programs:
			phases = [self.stop_safety.phase(worker, waiting) for worker in program.workers]
			# A worker that Redis forgot still waits in it: its connection tells.
			if not phases and program.name in waiting:
				phases = [WorkerPhase.WAITING_IN_REDIS]
			self._act(program, decide_stop(phases, waited), waiting)

	def _stop_late_children(self, fleet: Fleet, names: set[str]) -> None:
		"""A pool that is told to go tells its children once. One that it has just forked still has the pool's own signal
		handlers (rq/worker_pool.py, 1.15 to 3.0), misses that, and would be waited for for ever."""
		asked = [u for u in fleet.programs if u.name in names and u.service.pid and self._is_on_its_way(u)]
		children = [
			worker for program in asked for worker in program.workers if worker.pid != program.main_pid
		]
		waiting = self.fleet_reader.waiting(
			{child.name: child.pid for child in children if not child.is_busy}
		)
		for child in children:
			phase = self.stop_safety.phase(child, waiting)
			if phase is WorkerPhase.WAITING_IN_REDIS:
				self.fleet_reader.rq_reader.unblock(waiting[child.name])
			elif phase is WorkerPhase.SUSPENDED and (process := identity.of_worker(child)):
				process.send_signal(signal.SIGINT)  # it holds no job, so being told twice does no harm

	def _is_on_its_way(self, program: WorkerProgram) -> bool:
		asked = self.stop_requests.get(program.name)
		if asked is None or asked.process is None:
			return False
		return asked.program.service.process_identity == program.service.process_identity

	def _notice_who_left(self, fleet: Fleet, old: dict[str, WorkerProgram], waited: bool) -> None:
		"""A worker may end by itself meanwhile; its manager then brings a new one, which needs not be told.

		An orphan is known only by its workers, so a pool without any, as while they boot, is told without proof at last.
		"""
		for name, program in old.items():
			now = fleet.program(name)
			if name in self.stop_requests or (
				now and now.service.process_identity == program.service.process_identity
			):
				continue
			process = tree.get(program.service.pid) if program.is_orphan else None
			if process is None:
				how = (
					StopAction.UNBLOCK.value
					if program.service.process_identity in self.unblocked
					else "left by itself"
				)
				self._record(program, None, how, False)
			elif waited:
				self._record(program, process, self._stop_unproven(replace(program, workers=())), False)

	def _unblock(self, program: WorkerProgram, waiting: dict[str, int]) -> list[str]:
		"""Make those in it leave who wait in Redis; returns who does."""
		names = [
			name
			for name in program.pids_by_worker
			if name in waiting and self.fleet_reader.rq_reader.unblock(waiting[name])
		]
		self.unblocked.update(names)
		return names

	def _leaves(self, program: WorkerProgram, unblocked: list[str]) -> bool:
		"""Whether the unit itself leaves with those who were unblocked in it. A pool brings the child back, suspended, and
		goes as a whole once none of its children waits; of workers at one place it is only seen later who left."""
		return any(program.pids_by_worker[name] == program.main_pid for name in unblocked)

	def _act(self, program: WorkerProgram, act: StopAction, waiting: dict[str, int]) -> None:
		process = self.fleet_reader.manager.process(program.service)
		is_busy = any(worker.is_busy for worker in program.workers) or bool(
			not program.workers and tree.children(program.main_pid)
		)
		if act is StopAction.LOOK_AGAIN:
			return
		if act is StopAction.UNBLOCK:
			# A pool brings the child back, suspended; it goes as a whole once none of its children waits.
			if not self._leaves(program, self._unblock(program, waiting)):
				return
		if act is StopAction.SIGNAL:
			self.fleet_reader.manager.signal(program.service, "TERM")
		self._record(
			program,
			process,
			self._stop_unproven(program) if act is StopAction.UNPROVEN_STOP else act.value,
			is_busy,
		)

	def _record(
		self, program: WorkerProgram, process: ProcessHandle | None, how: str, was_busy: bool
	) -> None:
		self.stop_requests[program.name] = StopRequest(program, process, how, was_busy)

	def _stop_unproven(self, program: WorkerProgram) -> str:
		how = self._stop_without_proof(program)
		self.note(f"{program.name} gave no proof that it holds no job; it was stopped by {how}")
		return how

	def _stop_without_proof(self, program: WorkerProgram) -> str:
		sent = bool(program.workers and self.may_leave) and all(
			self.fleet_reader.rq_reader.send_shutdown(worker.name) for worker in program.workers
		)
		if sent and len(program.workers) == 1:
			return "RQ's shutdown command"
		self.fleet_reader.manager.signal(program.service, "TERM")
		return "SIGTERM"

	def _is_settled(self, name: str, fleet: Fleet) -> bool:
		"""Whether the flag may be lifted as far as this unit goes."""
		asked = self.stop_requests[name]
		if asked.is_gone or asked.how == StopAction.UNBLOCK.value:
			return True
		program = fleet.program(name)
		if program is None or not self._is_on_its_way(program):
			return True
		confirmed = {worker.pid for worker in program.workers if worker.shutdown_requested}
		is_pool = bool(program.service.pid) and any(
			worker.pid != program.main_pid for worker in program.workers
		)
		expected = tree.children(program.main_pid) if is_pool else set(program.pids_by_worker.values())
		return bool(program.workers) and confirmed >= expected
