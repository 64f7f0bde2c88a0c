"""Stopping workers without losing a job: each is asked to stop once, at a moment when it holds no popped job.

Between the pop of a job and the moment a worker is busy (1 to 4 ms) any stop signal loses that job (FACTS 1.2), so
a worker is asked to stop only while it provably cannot pop:

- it waits in Redis: CLIENT UNBLOCK answers 1 only for a client that was given nothing, and the worker ends
- it is suspended: it has read this restart's suspension, and takes nothing
- it is in a job under the suspension: after the job it reads the suspension before the next pop. One SIGTERM, never
  two, since the second would kill the job (FACTS 1.4)
- in between: it is read again
"""

import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from redis.exceptions import RedisError

from ..core.waiting import LOOK_INTERVAL_SECONDS
from ..managers.base import RestartMode
from ..processes import tree
from ..processes.tree import ProcessHandle
from ..rq.failures import is_transient
from ..rq.snapshot import RqSnapshot, Worker
from ..rq.suspension import Lease
from .fleet import Fleet, FleetReader, WorkerProgram
from .stop_request import HANG_SECONDS, StopRequest
from .stop_safety import StopAction, StopSafety, WorkerPhase, decide_stop

# How long a worker may stay in between before it is stopped without proof. RQ's registry maintenance, during which an
# idle worker does not wait in Redis, takes well under a second.
IN_BETWEEN_SECONDS = 2
# A warm shutdown is confirmed by `shutdown_requested_date` in the worker's hash within milliseconds.
CONFIRM_SECONDS = 5
# A Redis that was killed is back within seconds, unless a large append-only file has to be read.
PATIENCE_SECONDS = 60
MAX_PAUSE_SECONDS = 1


def pids_of_idle(programs: Sequence[WorkerProgram]) -> dict[str, int]:
	"""The pids of all workers of these programs that are not in a job, by their names."""
	busy = {worker.name for program in programs for worker in program.workers if worker.is_busy}
	return {
		name: pid for program in programs for name, pid in program.pids_by_worker.items() if name not in busy
	}


class WorkerStopper:
	"""Asks the worker programs of a bench to stop, each once in the life of a restart."""

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
		"""Suspend the queues, and begin to gather proof: what was read earlier proves nothing. Raises RedisError."""
		before = self.fleet_reader.read()
		self.lease.take()
		self.suspension_token = self.lease.holder
		self.stop_safety = StopSafety(tree.uptime(), before if before.snapshot.suspended_by is None else None)

	def poll(self, patience_seconds: float = PATIENCE_SECONDS) -> Fleet:
		"""Read the workers under the suspension. Where that was gone or changed hands, or Redis was away, suspend again and
		gather proof anew: a worker may have gone on in between.

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
				self.note(f"the suspension {was}; all workers are checked anew")
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
		"""Ask each of these programs to stop, under a suspension that was taken before and stays until this returns.

		Returns when each was asked and the suspension may be lifted: those that were suspended are gone, those in a job
		have confirmed. Raises RedisError where Redis is away for longer than PATIENCE_SECONDS.
		"""
		since = time.monotonic()
		old = {program.name: program for program in programs}
		names = set(old)
		while names:
			fleet = self.poll()
			self._record_ended(fleet, old, self.has_waited(since))
			self._stop_safe_ones(fleet, names, self.has_waited(since))
			self._stop_late_children(fleet, names)
			self.hasten(fleet.snapshot)
			unsettled = [name for name in names if not self._is_settled(name, fleet)]
			if not unsettled:
				return
			is_overdue = time.monotonic() - since > IN_BETWEEN_SECONDS + CONFIRM_SECONDS
			if is_overdue and names <= self.stop_requests.keys():
				self.note(
					f"{', '.join(unsettled)}: the request to stop was not confirmed in {CONFIRM_SECONDS} s"
				)
				return
			time.sleep(LOOK_INTERVAL_SECONDS)

	def is_leaving(self, program: WorkerProgram) -> bool:
		"""Whether the process of this program was unblocked and is about to end: it can take no job any more."""
		return self._is_ending(program) and self.stop_requests[program.name].how == StopAction.UNBLOCK.value

	@property
	def may_leave(self) -> bool:
		"""Whether a worker may end by itself, as it does when it is unblocked. In the foreground that would end all."""
		return self.fleet_reader.manager.restart_mode == RestartMode.INDIVIDUAL

	def has_waited(self, since: float) -> bool:
		"""Whether proof has been waited for long enough: since then (monotonic), and since it began to be gathered."""
		return time.monotonic() - max(since, self.stop_safety.began) > IN_BETWEEN_SECONDS

	def wake(self, fleet: Fleet, unproven: Iterable[Worker], has_been_waited: bool) -> None:
		"""Replace idle workers, so that they come back suspended: an idle one never reads the suspension (FACTS 1.1).

		Unmanaged workers are left alone. Where it cannot be proved that a worker waits in Redis, and proof has been waited
		for, the worker is stopped without proof.
		"""
		names = {worker.name for worker in unproven}
		idle = {name: pid for name, pid in pids_of_idle(fleet.programs).items() if name in names}
		waiting = self.fleet_reader.waiting(idle)
		for program in fleet.programs:
			process = self.fleet_reader.manager.process(program.service)
			unblocked = self._unblock(program, waiting)
			is_unproven = has_been_waited and not unblocked and names & set(program.pids_by_worker)
			if self._ends_with(program, unblocked):
				self._record(program, process, StopAction.UNBLOCK.value, False)
			elif is_unproven and program.name not in self.stop_requests:
				self._record(program, process, self._stop_unproven(program), False)

	def hasten(self, snapshot: RqSnapshot) -> None:
		"""Kill workers that have said goodbye to Redis and linger: RQ may wait a second for a thread of its own
		(`join(timeout=1)` in Worker.unsubscribe), while nothing serves their queues."""
		registered = {worker.name for worker in snapshot.workers}
		for asked in self.stop_requests.values():
			if asked.process is None or not asked.lingers:
				continue
			is_registered = any(worker.name in registered for worker in asked.program.workers)
			if asked.hangs:
				name = f"{asked.program.name} (pid {asked.process.pid})"
				self.note(f"{name} holds no job and did not end within {HANG_SECONDS} s; it was killed")
				tree.kill(tree.family(asked.process))
			elif not is_registered:
				tree.kill([asked.process])

	def _stop_safe_ones(self, fleet: Fleet, names: set[str], has_been_waited: bool) -> None:
		"""Ask those programs to stop that were not asked yet and may be asked now."""
		unasked = names - self.stop_requests.keys()
		programs = [program for program in fleet.programs if program.name in unasked]
		waiting = self.fleet_reader.waiting(pids_of_idle(programs)) if self.may_leave else {}
		for program in programs:
			phases = [self.stop_safety.phase(worker, waiting) for worker in program.workers]
			# A worker that Redis forgot still waits in Redis: its connection shows that.
			if not phases and program.name in waiting:
				phases = [WorkerPhase.WAITING_IN_REDIS]
			self._act(program, decide_stop(phases, has_been_waited), waiting)

	def _stop_late_children(self, fleet: Fleet, names: set[str]) -> None:
		"""Ask the children of pools to stop that the pool itself did not reach: it asks them once, and one that it has just
		forked still has the pool's own signal handlers (rq/worker_pool.py, 1.15 to 3.0) and would be waited for for ever."""
		pools = [
			one for one in fleet.programs if one.name in names and one.service.pid and self._is_ending(one)
		]
		children = [worker for pool in pools for worker in pool.workers if worker.pid != pool.main_pid]
		waiting = self.fleet_reader.waiting({one.name: one.pid for one in children if not one.is_busy})
		for child in children:
			phase = self.stop_safety.phase(child, waiting)
			if phase is WorkerPhase.WAITING_IN_REDIS:
				self.fleet_reader.rq_reader.unblock(waiting[child.name])
			elif phase is WorkerPhase.SUSPENDED and (
				process := self.fleet_reader.presence.known_process(child)
			):
				process.send_signal(signal.SIGINT)  # it holds no job, so that a second signal does no harm

	def _is_ending(self, program: WorkerProgram) -> bool:
		"""Whether the program still runs in the process that was asked to stop."""
		asked = self.stop_requests.get(program.name)
		if asked is None or asked.process is None:
			return False
		return asked.program.service.process_identity == program.service.process_identity

	def _record_ended(self, fleet: Fleet, old: dict[str, WorkerProgram], has_been_waited: bool) -> None:
		"""Record which programs ended by themselves meanwhile: their manager brings new ones, which need not be asked.

		An orphan is known only by its workers, so an orphaned pool without any, as while they boot, is stopped without proof
		once that has been waited for.
		"""
		for name, program in old.items():
			old_identity, now = program.service.process_identity, fleet.program(name)
			if name in self.stop_requests or (now and now.service.process_identity == old_identity):
				continue
			process = tree.get(program.service.pid) if program.is_orphan else None
			if process is None:
				was_unblocked = old_identity in self.unblocked
				how = StopAction.UNBLOCK.value if was_unblocked else "ended by itself"
				self._record(program, None, how, False)
			elif has_been_waited:
				self._record(program, process, self._stop_unproven(replace(program, workers=())), False)

	def _unblock(self, program: WorkerProgram, waiting: dict[str, int]) -> list[str]:
		"""Make those of its workers end that wait in Redis; returns their names."""
		unblock = self.fleet_reader.rq_reader.unblock
		names = [name for name in program.pids_by_worker if name in waiting and unblock(waiting[name])]
		self.unblocked.update(names)
		return names

	def _ends_with(self, program: WorkerProgram, unblocked: list[str]) -> bool:
		"""Whether the program itself ends with its workers that were unblocked. A pool brings the child back, suspended, and
		is asked as a whole once none of its children waits; of workers at one address a later snapshot shows which ended."""
		return any(program.pids_by_worker[name] == program.main_pid for name in unblocked)

	def _act(self, program: WorkerProgram, action: StopAction, waiting: dict[str, int]) -> None:
		if action is StopAction.LOOK_AGAIN:
			return
		process = self.fleet_reader.manager.process(program.service)
		is_busy = any(worker.is_busy for worker in program.workers) or bool(
			not program.workers and tree.children(program.main_pid)
		)
		if action is StopAction.UNBLOCK and not self._ends_with(program, self._unblock(program, waiting)):
			return
		if action is StopAction.SIGNAL:
			self.fleet_reader.manager.signal(program.service, "TERM")
		how = self._stop_unproven(program) if action is StopAction.UNPROVEN_STOP else action.value
		self._record(program, process, how, is_busy)

	def _record(
		self, program: WorkerProgram, process: ProcessHandle | None, how: str, was_busy: bool
	) -> None:
		self.stop_requests[program.name] = StopRequest(program, process, how, was_busy)

	def _stop_unproven(self, program: WorkerProgram) -> str:
		"""Ask a program to stop that may hold a popped job, by RQ's own command where that is enough; returns how."""
		sent = bool(program.workers and self.may_leave) and all(
			self.fleet_reader.rq_reader.send_shutdown(worker.name) for worker in program.workers
		)
		how = "RQ's shutdown command" if sent and len(program.workers) == 1 else "SIGTERM"
		if how == "SIGTERM":
			self.fleet_reader.manager.signal(program.service, "TERM")
		self.note(f"{program.name} gave no proof that it holds no job; it was asked to stop by {how}")
		return how

	def _is_settled(self, name: str, fleet: Fleet) -> bool:
		"""Whether the suspension may be lifted as far as this program goes: it was asked, and is gone or has confirmed."""
		asked, program = self.stop_requests.get(name), fleet.program(name)
		if asked is None:
			return False
		if asked.is_gone or asked.how == StopAction.UNBLOCK.value:
			return True
		if program is None or not self._is_ending(program):
			return True
		confirmed = {worker.pid for worker in program.workers if worker.shutdown_requested}
		is_pool = bool(program.service.pid) and any(one.pid != program.main_pid for one in program.workers)
		expected = tree.children(program.main_pid) if is_pool else set(program.pids_by_worker.values())
		return bool(program.workers) and confirmed >= expected
