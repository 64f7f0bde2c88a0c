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
from dataclasses import dataclass, field, replace

import psutil
from redis.exceptions import RedisError

from ..core.waiting import LOOK_INTERVAL_SECONDS
from ..managers.base import EACH
from ..processes import tree
from ..rq.snapshot import RqSnapshot, Worker
from ..rq.suspension import Lease
from . import identity
from .fleet import Fleet, FleetReader, WorkerProgram
from .stop_safety import StopAction, StopSafety, WorkerPhase, decide_stop

# How long a worker may stay in between before the next way of stopping it is tried. RQ's registry maintenance, during
# which an idle worker does not wait in Redis, takes well under a second.
IN_BETWEEN_SECONDS = 2
# A warm shutdown is confirmed by `shutdown_requested_date` in the worker's hash within milliseconds.
CONFIRM_SECONDS = 5
# Leaving takes an RQ worker 0.1 to 0.2 s, where it does not wait for its own thread.
LINGER_SECONDS = 0.3
# A Redis that was killed is back within seconds, unless a large append-only file has to be read.
PATIENCE_SECONDS = 60
MAX_PAUSE_SECONDS = 1


@dataclass
class StopRequest:
	"""A unit that was told to go: its old process, how and when it was told, and whether it had a job then."""

	unit: WorkerProgram
	process: psutil.Process | None
	how: str
	was_busy: bool
	at: float = field(default_factory=time.monotonic)
	was_killed: bool = False

	@property
	def is_gone(self) -> bool:
		return self.process is None or not tree.is_alive(self.process)

	@property
	def lingers(self) -> bool:
		"""It was told while it held no job, so it can have none now, and should be gone. Pools are left to end
		their children."""
		is_alone = [worker.pid for worker in self.unit.workers] == [self.unit.main_pid]
		proven = self.how in (StopAction.UNBLOCK.value, StopAction.SIGNAL.value) and not self.was_busy
		return proven and is_alone and time.monotonic() - self.at > LINGER_SECONDS and not self.is_gone


def pids_of_idle(units: Iterable[WorkerProgram]) -> dict[str, int]:
	"""Of all workers of these units but those in a job."""
	busy = {worker.name for unit in units for worker in unit.workers if worker.is_busy}
	return {name: pid for unit in units for name, pid in unit.seats.items() if name not in busy}


class WorkerStopper:
	"""Tells the units of a bench to go, each once in the life of a restart."""

	def __init__(
		self,
		watch: FleetReader,
		lease: Lease,
		note: Callable[[str], None],
		check_cancelled: Callable[[], None] = lambda: None,
	):
		self.watch = watch
		self.lease = lease
		self.note = note
		self.check_cancelled = check_cancelled
		self.told: dict[str, StopRequest] = {}
		self.unblocked: set[str] = set()  # names of workers
		self.flag = ""
		self.evidence = StopSafety(tree.uptime())

	def take_flag(self) -> None:
		"""Set the flag, and begin to gather evidence: what was seen earlier proves nothing. Raises RedisError."""
		before = self.watch.see()
		self.lease.take()
		self.flag = self.lease.holder
		self.evidence = StopSafety(tree.uptime(), before if before.look.suspended_by is None else None)

	def look(self, patience_seconds: float = PATIENCE_SECONDS) -> Fleet:
		"""One look under the flag. Where the flag was gone or is another one, or Redis was, it is set again and all begins
		anew: in between a worker may have gone on.

		Raises RedisError where Redis is away for longer than `patience_seconds`, and what check_cancelled raises.
		"""
		away_since, pause = None, LOOK_INTERVAL_SECONDS
		while True:
			try:
				if away_since is not None:
					self.take_flag()
				fleet = self.watch.see()
				if fleet.look.suspended_by == self.flag:
					self.evidence.add(fleet)
					return fleet
				was = "changed hands" if fleet.look.suspended_by else "was gone and was taken again"
				self.note(f"the suspension {was}; all workers are looked at anew")
				self.take_flag()
			except (RedisError, OSError) as error:
				if away_since is None:
					away_since = time.monotonic()
					self.note(f"Redis went away ({error}); waiting for it")
				if time.monotonic() - away_since > patience_seconds:
					raise
				self.check_cancelled()
				time.sleep(pause)
				pause = min(2 * pause, MAX_PAUSE_SECONDS)

	def tell(self, units: Iterable[WorkerProgram]) -> None:
		"""Tell each of these units to go, under a flag that has been set and stays set until this returns.

		Returns when each was told and it is safe to lift the flag: those that were suspended are gone, those in a
		job have confirmed. Raises RedisError where Redis goes away for good.
		"""
		since = time.monotonic()
		old = {unit.name: unit for unit in units}
		names = set(old)
		while names:
			fleet = self.look()
			self._notice_who_left(fleet, old, self.has_waited(since))
			self._tell_who_can_go(fleet, names, self.has_waited(since))
			self._tell_late_children(fleet, names)
			self.hasten(fleet.look)
			unsettled = [name for name in names if name not in self.told or not self._is_settled(name, fleet)]
			if not unsettled:
				return
			if names <= set(self.told) and time.monotonic() - since > IN_BETWEEN_SECONDS + CONFIRM_SECONDS:
				self.note(
					f"{', '.join(unsettled)} did not confirm in {CONFIRM_SECONDS} s that it was told to go"
				)
				return
			time.sleep(LOOK_INTERVAL_SECONDS)

	def is_leaving(self, unit: WorkerProgram) -> bool:
		"""Whether the process of this unit was unblocked and is on its way out: it can take nothing any more."""
		return self._is_on_its_way(unit) and self.told[unit.name].how == StopAction.UNBLOCK.value

	@property
	def may_leave(self) -> bool:
		"""Whether a worker may end by itself, as it does when it is unblocked. In the foreground that would end all."""
		return self.watch.manager.way == EACH

	def has_waited(self, since: float) -> bool:
		"""Whether proof has been looked for long enough since then (monotonic), and since the evidence began."""
		return time.monotonic() - max(since, self.evidence.began) > IN_BETWEEN_SECONDS

	def wake(self, fleet: Fleet, unproven: Iterable[Worker], has_been_waited: bool) -> None:
		"""Replace idle workers, so that they come back suspended: an idle one never notices the flag (FACTS 1.1).

		Strays, which somebody else keeps, are left. Where no proof can be had that a worker waits, and that has
		been waited for, it is stopped in the next best way.
		"""
		names = {worker.name for worker in unproven}
		waiting = self.watch.waiting(
			{name: pid for name, pid in pids_of_idle(fleet.units).items() if name in names}
		)
		for unit in fleet.units:
			idle = names & set(unit.seats)
			process = self.watch.manager.process(unit.service)
			unblocked = self._unblock(unit, waiting)
			if self._leaves(unit, unblocked):
				self.told[unit.name] = StopRequest(unit, process, StopAction.UNBLOCK.value, False)
			elif idle and not unblocked and has_been_waited and unit.name not in self.told:
				self._tell(unit, process, self._fall_back(unit), False)

	def hasten(self, look: RqSnapshot) -> None:
		"""End workers that have said goodbye to Redis and linger: RQ may wait a second for a thread of its own
		(`join(timeout=1)` in Worker.unsubscribe), while nobody serves their queues."""
		registered = {worker.name for worker in look.workers}
		for told in self.told.values():
			if told.lingers and not registered & {worker.name for worker in told.unit.workers}:
				tree.kill([told.process])

	def _tell_who_can_go(self, fleet: Fleet, names: set[str], waited: bool) -> None:
		units = [unit for unit in fleet.units if unit.name in names and unit.name not in self.told]
		waiting = self.watch.waiting(pids_of_idle(units)) if self.may_leave else {}
		for unit in units:
			conditions = [self.evidence.condition(worker, waiting) for worker in unit.workers]
			# A worker that Redis forgot still waits in it: its connection tells.
			if not conditions and unit.name in waiting:
				conditions = [WorkerPhase.WAITING]
			self._act(unit, decide_stop(conditions, waited), waiting)

	def _tell_late_children(self, fleet: Fleet, names: set[str]) -> None:
		"""A pool that is told to go tells its children once. One that it has just forked still has the pool's own signal
		handlers (rq/worker_pool.py, 1.15 to 3.0), misses that, and would be waited for for ever."""
		told = [u for u in fleet.units if u.name in names and u.service.pid and self._is_on_its_way(u)]
		children = [worker for unit in told for worker in unit.workers if worker.pid != unit.main_pid]
		waiting = self.watch.waiting({child.name: child.pid for child in children if not child.is_busy})
		for child in children:
			condition = self.evidence.condition(child, waiting)
			if condition is WorkerPhase.WAITING:
				self.watch.observer.unblock(waiting[child.name])
			elif condition is WorkerPhase.SUSPENDED and (process := identity.of_worker(child)):
				process.send_signal(signal.SIGINT)  # it holds no job, so being told twice does no harm

	def _is_on_its_way(self, unit: WorkerProgram) -> bool:
		told = self.told.get(unit.name)
		is_same = told is not None and told.unit.service.incarnation == unit.service.incarnation
		return is_same and told.process is not None

	def _notice_who_left(self, fleet: Fleet, old: dict[str, WorkerProgram], waited: bool) -> None:
		"""A worker may end by itself meanwhile; its manager then brings a new one, which needs not be told.

		An orphan is known only by its workers, so a pool without any, as while they boot, is told without proof at last.
		"""
		for name, unit in old.items():
			now = fleet.unit(name)
			if name in self.told or (now and now.service.incarnation == unit.service.incarnation):
				continue
			process = tree.get(unit.service.pid) if unit.is_orphan else None
			if process is None:
				how = (
					StopAction.UNBLOCK.value
					if unit.service.incarnation in self.unblocked
					else "left by itself"
				)
				self._tell(unit, None, how, False)
			elif waited:
				self._tell(unit, process, self._fall_back(replace(unit, workers=())), False)

	def _unblock(self, unit: WorkerProgram, waiting: dict[str, int]) -> list[str]:
		"""Make those in it leave who wait in Redis; returns who does."""
		names = [
			name for name in unit.seats if name in waiting and self.watch.observer.unblock(waiting[name])
		]
		self.unblocked.update(names)
		return names

	def _leaves(self, unit: WorkerProgram, unblocked: list[str]) -> bool:
		"""Whether the unit itself leaves with those who were unblocked in it. A pool brings the child back, suspended, and
		goes as a whole once none of its children waits; of workers at one place it is only seen later who left."""
		return any(unit.seats[name] == unit.main_pid for name in unblocked)

	def _act(self, unit: WorkerProgram, act: StopAction, waiting: dict[str, int]) -> None:
		process = self.watch.manager.process(unit.service)
		is_busy = any(worker.is_busy for worker in unit.workers) or bool(
			not unit.workers and tree.children(unit.main_pid)
		)
		if act is StopAction.LOOK_AGAIN:
			return
		if act is StopAction.UNBLOCK:
			# A pool brings the child back, suspended; it goes as a whole once none of its children waits.
			if not self._leaves(unit, self._unblock(unit, waiting)):
				return
		if act is StopAction.SIGNAL:
			self.watch.manager.signal(unit.service, "TERM")
		self._tell(
			unit, process, self._fall_back(unit) if act is StopAction.FALL_BACK else act.value, is_busy
		)

	def _tell(self, unit: WorkerProgram, process: psutil.Process | None, how: str, was_busy: bool) -> None:
		self.told[unit.name] = StopRequest(unit, process, how, was_busy)

	def _fall_back(self, unit: WorkerProgram) -> str:
		how = self._stop_without_proof(unit)
		self.note(f"{unit.name} gave no proof that it holds no job; it was stopped by {how}")
		return how

	def _stop_without_proof(self, unit: WorkerProgram) -> str:
		sent = bool(unit.workers and self.may_leave) and all(
			self.watch.observer.send_shutdown(worker.name) for worker in unit.workers
		)
		if sent and len(unit.workers) == 1:
			return "RQ's shutdown command"
		self.watch.manager.signal(unit.service, "TERM")
		return "SIGTERM"

	def _is_settled(self, name: str, fleet: Fleet) -> bool:
		"""Whether the flag may be lifted as far as this unit goes."""
		told = self.told[name]
		if told.is_gone or told.how == StopAction.UNBLOCK.value:
			return True
		unit = fleet.unit(name)
		if unit is None or not self._is_on_its_way(unit):
			return True
		asked = {worker.pid for worker in unit.workers if worker.shutdown_requested}
		is_pool = bool(unit.service.pid) and any(worker.pid != unit.main_pid for worker in unit.workers)
		expected = tree.children(unit.main_pid) if is_pool else set(unit.seats.values())
		return bool(unit.workers) and asked >= expected
