"""The workers of a bench: RQ's registrations joined with the processes that run them.

A *worker program* is a service of the kind workers: what a process manager brings back. One worker runs in it, or a
worker pool with several. A pool is replaced as a whole, since a child that ends comes back with its parent's old code
(FACTS 2.2).
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from redis import Redis

from ..core.bench import Bench
from ..core.errors import Unseen
from ..managers.base import ProcessManager, Service
from ..processes import tree
from ..processes.classify import WORKERS
from ..rq.snapshot import Job, RqReader, RqSnapshot, Worker, newest_births
from . import identity
from .presence import Presence

SIGHT_TRIES, SIGHT_PAUSE_SECONDS = 3, 0.1


@dataclass(frozen=True)
class WorkerProgram:
	"""A service of the kind workers, with the live workers inside it.

	is_orphan: left behind by a process manager that died; it is asked to stop like any other, and nothing brings it back
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
	def shared_address(self) -> str:
		"""The address that it shares with others, which can only be asked to stop together; its own name without one."""
		return self.service.shared_address or self.name

	@property
	def main_pid(self) -> int:
		"""The pid of the worker or the pool, behind the shell if one is in front of it."""
		return tree.main_pid(self.service.pid)

	@property
	def pids_by_worker(self) -> dict[str, int]:
		"""The pids of its workers by their names; where Redis knows none of them, the main pid by the program's own name."""
		return {worker.name: worker.pid for worker in self.workers} or {self.name: self.main_pid}


@dataclass(frozen=True)
class Fleet:
	"""All workers of a bench, as they were when they were read.

	unmanaged: live workers that no process manager within reach runs, such as those on another host or started by hand
	stale: registrations without a living process on this host, by pid and start time
	"""

	snapshot: RqSnapshot
	programs: tuple[WorkerProgram, ...]
	unmanaged: tuple[Worker, ...]
	stale: tuple[Worker, ...]

	@property
	def workers(self) -> list[Worker]:
		return [*(worker for program in self.programs for worker in program.workers), *self.unmanaged]

	@property
	def running(self) -> list[tuple[Worker, Job | None]]:
		"""Each live worker that has a job, with the job where it is known."""
		return [(w, self.snapshot.job_of(w)) for w in self.workers if w.is_busy or w.job_id]

	def program(self, name: str) -> WorkerProgram | None:
		return next((program for program in self.programs if program.name == name), None)


def join_with_processes(snapshot: RqSnapshot, services: Iterable[Service], presence: Presence) -> Fleet:
	"""Join RQ's registrations with the services that a process manager runs on this host."""
	worker_services = [service for service in services if service.kind == WORKERS]
	by_pid = {service.pid: service for service in worker_services if service.pid}
	members: dict[str, list[Worker]] = {service.name: [] for service in by_pid.values()}
	names = {service.name for service in worker_services}
	orphans: dict[int, list[Worker]] = {}
	unmanaged: list[Worker] = []
	stale = list(snapshot.stale)
	newest = newest_births(snapshot.workers)
	for worker in snapshot.workers:
		process = presence.process_of(worker, newest, by_pid)
		if process is None:
			(stale if is_stale(worker, presence) else unmanaged).append(worker)
			continue
		service = next((by_pid[pid] for pid in tree.ancestors(process) if pid in by_pid), None)
		if service:
			members[service.name].append(worker)
		elif worker_services and (root := tree.orphan_root(process, WORKERS, names)):
			orphans.setdefault(root.pid, []).append(worker)
		else:
			unmanaged.append(worker)
	programs = [WorkerProgram(service, tuple(members[service.name])) for service in by_pid.values()]
	programs += [
		WorkerProgram(orphan_service(pid, worker_services), tuple(found), True)
		for pid, found in orphans.items()
	]
	return Fleet(snapshot, tuple(programs), tuple(unmanaged), tuple(stale))


def is_stale(worker: Worker, presence: Presence) -> bool:
	"""Whether a worker without a process here is dead: it is one of this host, or was seen here before, and nothing shows
	that it lives."""
	if not identity.is_local(worker) and not presence.is_ours_and_ended(worker):
		return False
	return not presence.lives_unseen(worker)


def join_through_redis(snapshot: RqSnapshot, services: Iterable[Service]) -> Fleet:
	"""Join RQ's registrations with services that only Redis knows of: each living worker is a program of its own."""
	by_name = {service.worker: service for service in services if service.worker}
	programs = [
		WorkerProgram(by_name[worker.name], (worker,))
		for worker in snapshot.workers
		if worker.name in by_name
	]
	stale = [worker for worker in snapshot.workers if worker.name not in by_name]
	return Fleet(snapshot, tuple(programs), unmanaged=(), stale=(*snapshot.stale, *stale))


def unseen(bench: Bench, manager: ProcessManager, service: Service) -> str:
	return (
		f"{manager.name} runs {service.name} as pid {service.pid}, and that process cannot be seen from here: this command is in "
		"another container or pid namespace, or /proc hides the processes of other users. Without seeing them nobody can tell "
		"a worker that lives from one that is dead, so nothing was touched and the bench works as before. Type the command "
		f"where {manager.name} runs, as the bench's owner or root; where workers are in containers of their own, set "
		f'"safe_restart": {{"process_manager": "containers"}} in {bench.config_path}.'
	)


def orphan_service(pid: int, worker_services: list[Service]) -> Service:
	"""Stand in for the service that an orphan was; its grace is the longest of all worker services."""
	grace = max(service.stop_wait_seconds for service in worker_services)
	return Service(f"orphan {pid}", WORKERS, "running", pid, 0, grace, "", ())


class FleetReader:
	"""Reads the workers of one bench again and again, through its process manager and its Redis."""

	def __init__(self, bench: Bench, manager: ProcessManager, rq_reader: RqReader):
		self.bench = bench
		self.manager = manager
		self.rq_reader = rq_reader
		self.orphans: list[WorkerProgram] = []  # of the last snapshot
		self.presence = Presence(rq_reader.clients)
		self.is_sight_proved = False

	@property
	def redis(self) -> Redis:
		return self.rq_reader.redis

	def read(self) -> Fleet:
		"""The workers as they are now. Raises RedisError, and Unreachable where the process manager does not answer."""
		if self.manager.is_seen_through_redis:
			snapshot = self.rq_reader.snapshot()
			fleet = join_through_redis(snapshot, self.manager.services_in(snapshot))
		else:
			services = self.seen_services()
			self.presence.begin_snapshot()
			fleet = join_with_processes(self.rq_reader.snapshot(), services, self.presence)
		self.orphans = [program for program in fleet.programs if program.is_orphan]
		return fleet

	def seen_services(self) -> list[Service]:
		"""The manager's services, once it is proved that their processes can be seen from here. A process that has just
		ended proves nothing, so several answers have to agree. Raises Unseen."""
		services = self.manager.services()
		for _ in range(SIGHT_TRIES):
			running = [one for one in services if one.pid and one.is_up]
			if self.is_sight_proved or not running or any(map(self.manager.is_visible, running)):
				self.is_sight_proved = self.is_sight_proved or bool(running)
				return services
			time.sleep(SIGHT_PAUSE_SECONDS)
			services = self.manager.services()
		raise Unseen(unseen(self.bench, self.manager, running[0]))

	def waiting(self, pids_by_worker: Mapping[str, int]) -> dict[str, int]:
		"""Redis client ids of the workers that wait in Redis for a job, by their names.

		pids_by_worker: the workers in question, with their pids on this host
		"""
		if self.manager.is_seen_through_redis:
			return self.manager.waiting(pids_by_worker)
		found = [process for pid in set(pids_by_worker.values()) if (process := tree.get(pid))]
		blocked = self.rq_reader.blocked_clients(found) if found else {}
		return {name: blocked[pid] for name, pid in pids_by_worker.items() if pid in blocked}
