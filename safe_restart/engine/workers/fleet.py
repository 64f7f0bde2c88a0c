"""The workers of a bench as they really are: RQ's registrations joined with the processes that run them.

A *unit* is what a process manager can bring back: one program with one worker, or a worker pool with several. A pool
is replaced whole, since a child that exits comes back with its parent's old code (FACTS 2).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..core.bench import Bench
from ..managers.base import ProcessManager, Service
from ..processes import tree
from ..processes.classify import WORKERS
from ..rq.snapshot import Job, RqReader, RqSnapshot, Worker, newest_births
from . import identity


@dataclass(frozen=True)
class WorkerProgram:
	"""A workers program of the process manager, with the live workers inside it.

	An orphan is one that a manager which died has left behind. It is retired like any other, and nobody brings it back.
	"""

	service: Service
	workers: tuple[Worker, ...]
	is_orphan: bool = False

	@property
	def name(self) -> str:
		return self.service.name

	@property
	def queues(self) -> set[str]:
		return {queue for worker in self.workers for queue in worker.queues}

	@property
	def place(self) -> str:
		"""What it shares with others that can only be told to go together with it; otherwise it has one for itself."""
		return self.service.place or self.name

	@property
	def main_pid(self) -> int:
		"""Of the worker or the pool, behind the shell if one is in front of it."""
		return tree.main_pid(self.service.pid)

	@property
	def seats(self) -> dict[str, int]:
		"""Who may wait for a job in it: the pids of its workers by their names; the program's own by its name where Redis
		knows none of them."""
		return {worker.name: worker.pid for worker in self.workers} or {self.name: self.main_pid}


@dataclass(frozen=True)
class Fleet:
	"""One look at all workers of a bench.

	strays: live workers that no process manager within reach keeps (another host, started by hand)
	dead: registrations without a living process on this host, told apart by pid and start time
	"""

	look: RqSnapshot
	units: tuple[WorkerProgram, ...]
	strays: tuple[Worker, ...]
	dead: tuple[Worker, ...]

	@property
	def workers(self) -> list[Worker]:
		return [*(worker for unit in self.units for worker in unit.workers), *self.strays]

	@property
	def running(self) -> list[tuple[Worker, Job | None]]:
		"""Each live worker that has a job now, with the job where it is known."""
		return [(w, self.look.job_of(w)) for w in self.workers if w.is_busy or w.job_id]

	def unit(self, name: str) -> WorkerProgram | None:
		return next((unit for unit in self.units if unit.name == name), None)


def join_with_processes(look: RqSnapshot, services: Iterable[Service]) -> Fleet:
	"""Join what RQ says with what the process manager says of processes on this host."""
	programs = [service for service in services if service.kind == WORKERS]
	by_pid = {service.pid: service for service in programs if service.pid}
	members: dict[str, list[Worker]] = {service.name: [] for service in by_pid.values()}
	names = {service.name for service in programs}
	orphans: dict[int, list[Worker]] = {}
	strays, dead = [], list(look.ghosts)
	newest = newest_births(look.workers)
	for worker in look.workers:
		if not identity.is_local(worker):
			strays.append(worker)
			continue
		process = identity.of_worker(worker)
		if process is None or worker.birth != newest[worker.hostname, worker.pid]:
			dead.append(worker)
			continue
		keeper = next((by_pid[pid] for pid in tree.ancestors(process) if pid in by_pid), None)
		if keeper:
			members[keeper.name].append(worker)
		elif programs and (root := tree.orphan_root(process, WORKERS, names)):
			orphans.setdefault(root.pid, []).append(worker)
		else:
			strays.append(worker)
	units = [WorkerProgram(service, tuple(members[service.name])) for service in by_pid.values()]
	units += [
		WorkerProgram(orphan_service(pid, programs), tuple(found), True) for pid, found in orphans.items()
	]
	return Fleet(
		look=look,
		units=tuple(units),
		strays=tuple(strays),
		dead=tuple(dead),
	)


def join_through_redis(look: RqSnapshot, services: Iterable[Service]) -> Fleet:
	"""Each living worker is a unit of its own; there is no other witness than Redis."""
	by_name = {service.worker: service for service in services if service.worker}
	units = [
		WorkerProgram(by_name[worker.name], (worker,)) for worker in look.workers if worker.name in by_name
	]
	dead = [worker for worker in look.workers if worker.name not in by_name]
	return Fleet(look=look, units=tuple(units), strays=(), dead=(*look.ghosts, *dead))


def orphan_service(pid: int, programs: list[Service]) -> Service:
	"""An orphan, with the grace that its program has."""
	grace = max(service.stop_wait_seconds for service in programs)
	return Service(f"orphan {pid}", WORKERS, "running", pid, 0, grace, "", ())


class FleetReader:
	"""Looks at one bench again and again, through its process manager and its Redis."""

	def __init__(self, bench: Bench, manager: ProcessManager, observer: RqReader):
		self.bench = bench
		self.manager = manager
		self.observer = observer
		self.orphans: list[WorkerProgram] = []  # of the last look

	def see(self) -> Fleet:
		"""One look. Raises RedisError where Redis is away, and Unreachable where the manager is."""
		if self.manager.is_seen_through_redis:
			look = self.observer.look()
			fleet = join_through_redis(look, self.manager.services_in(look))
		else:
			services = self.manager.services()
			fleet = join_with_processes(self.observer.look(), services)
		self.orphans = [unit for unit in fleet.units if unit.is_orphan]
		return fleet

	def waiting(self, seats: Mapping[str, int]) -> dict[str, int]:
		"""Redis client ids of those who wait in Redis for a job; seats are pids on this host by the name of who sits there."""
		if self.manager.is_seen_through_redis:
			return self.manager.waiting(seats)
		found = [process for pid in set(seats.values()) if (process := tree.get(pid))]
		blocked = self.observer.blocked_clients(found) if found else {}
		return {name: blocked[pid] for name, pid in seats.items() if pid in blocked}
