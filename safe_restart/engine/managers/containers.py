"""Containers, and any other workers out of reach: no process manager answers here, only Redis does.

A worker is asked to stop through Redis, and a restart policy or the kubelet starts its container again. Whether a
worker lives is known from its connections to Redis, one of which RQ gives the worker's name (`client_setname` in rq's
worker; seen on rq 1.15.1, 2.6.1 and 3.0.0).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from redis.exceptions import RedisError

from ..core import environment
from ..core.bench import Bench
from ..core.errors import RestartError
from ..processes.classify import SCHEDULER, SOCKETIO, WEB, WORKERS
from ..rq.client_list import Client
from ..rq.snapshot import RqReader, RqSnapshot, Worker, newest_births
from . import supervisor
from .base import Drawback, ProcessManager, Service
from .container_slots import Slot, Slots

NAME = "containers"

# What Kubernetes gives a container between SIGTERM and SIGKILL (terminationGracePeriodSeconds); Docker gives 10 s.
GRACE_SECONDS = 30
# RQ's workers connect again at most 60 s after Redis was away (rq/worker: max_connection_wait_time).
RECONNECT_SECONDS = 90

POLICY = "restart policy `unless-stopped` or `always` (Docker), `Always` (Kubernetes)"
COMPOSE_NAMES = {WEB: "backend", SCHEDULER: "scheduler", SOCKETIO: "websocket"}  # frappe_docker, compose.yaml
HELM_NAMES = {
	WEB: "gunicorn",
	SCHEDULER: "scheduler",
	SOCKETIO: "socketio",
}  # the Helm chart erpnext, templates


class RemoteProcess:
	"""A worker out of reach, as a ProcessHandle: what the engine asks of a process that is to end."""

	def __init__(self, containers: "Containers", name: str, pid: int):
		self.containers, self.name, self.pid = containers, name, pid

	def is_running(self) -> bool:
		return self.containers.has(self.name)

	def status(self) -> str:
		return "running"

	def children(self, recursive: bool = False) -> list["RemoteProcess"]:
		return []

	def kill(self) -> None:
		"""Ask the worker to stop again: more than 1 s after the first time, that ends it and its job (FACTS 1.4)."""
		self.containers.shut_down(self.name)


class Containers(ProcessManager):
	"""The workers of a bench as Redis knows them, on any host."""

	name = NAME
	is_seen_through_redis = True

	def __init__(self, bench: Bench):
		self.bench = bench
		self.rq_reader = RqReader(bench)
		# Docker restarts after 0.1 s. The kubelet does so at once, and after 10 and 20 s for the second and third
		# time within ten minutes (kubernetes.io, Pod Lifecycle).
		self.return_seconds = bench.settings.container_return_seconds
		self.slots = Slots()
		self.snapshot: RqSnapshot | None = None
		self.clients: list[Client] = []

	def services(self) -> list[Service]:
		return self.services_in(self.rq_reader.snapshot())

	def services_in(self, snapshot: RqSnapshot) -> list[Service]:
		self.snapshot, self.clients = snapshot, self.rq_reader.clients()
		alive = self.living_in(snapshot)
		slots = self.slots.fill(alive, self.bench.queue_prefix)
		return [as_service(slot, self.return_seconds) for slot in slots]

	def living_in(self, snapshot: RqSnapshot) -> list[Worker]:
		"""The workers of a snapshot that live. Raises RedisError."""
		uptime = float(self.rq_reader.redis.info("server")["uptime_in_seconds"])
		return living(snapshot.workers, self.clients, snapshot.now - uptime, snapshot.now)

	def waiting(self, names: Iterable[str]) -> dict[str, int]:
		wanted = set(names)
		found = who_waits(self.snapshot, self.clients) if self.snapshot else {}
		return {name: client for name, client in found.items() if name in wanted}

	def process(self, service: Service) -> RemoteProcess | None:
		pids = {slot.last.name: slot.last.pid for slot in self.slots.slots}
		return RemoteProcess(self, service.worker, pids.get(service.worker, 0)) if service.worker else None

	def has(self, name: str) -> bool:
		"""Whether a worker still lives. It counts as alive where that is unknown, as Redis does not answer."""
		with suppress(RedisError, OSError):
			return any(service.worker == name for service in self.services())
		return True

	def signal(self, service: Service, signal_name: str) -> None:
		if service.worker:
			self.shut_down(service.worker)

	def shut_down(self, name: str) -> None:
		"""Ask a worker to stop, through Redis."""
		self.rq_reader.send_shutdown(name)

	def start(self, service: Service) -> None:
		raise RestartError(f"{service.name} cannot be started from here. Type {self.start_command(service)}.")

	def stop(self, service: Service) -> None:
		raise RestartError(f"{service.name} cannot be kept down from here. Nothing was stopped.")

	def start_command(self, service: Service | None) -> str:
		return "docker compose up -d, or kubectl rollout restart deployment/NAME"

	def where_output_is(self) -> str:
		return "`docker compose logs`, or `kubectl logs`, shows what it says"

	def hindrance(self, services: Iterable[Service], must_stop: bool) -> str:
		if not must_stop:
			return ""
		return (
			"Workers in containers cannot be kept down from here, as a migration needs it. Nothing was touched. Type "
			"`safe-restart drain --hold 3600`, then `bench --site all migrate` in a container with the new code, then start "
			"the new containers and type `safe-restart resume`."
		)

	def out_of_reach(self, kinds: Iterable[str]) -> str:
		unreachable = [kind for kind in (WEB, SCHEDULER, SOCKETIO) if kind in kinds]
		if not unreachable:
			return ""
		compose = " ".join(COMPOSE_NAMES[kind] for kind in unreachable)
		helm = " ".join(f"deployment/RELEASE-{HELM_NAMES[kind]}" for kind in unreachable)
		return (
			f"{', '.join(unreachable)}: their containers cannot be reached from here and go on with their old code. Type `docker "
			f"compose restart {compose}`, or `kubectl rollout restart {helm}`; with `--only workers` this is not said"
		)

	def drawbacks(self, longest_seconds: Mapping[str, int]) -> Iterator[Drawback]:
		yield Drawback(
			"it is unknown here whether a worker that ends is started again, so each restart tries that with one worker first",
			f"give worker containers the {POLICY}",
		)
		counts = Counter(slot.last.hostname for slot in self.slots.slots if slot.is_held)
		if shared := [host for host, count in sorted(counts.items()) if count > 1]:
			yield Drawback(
				f"{', '.join(shared[:5])}{' …' if len(shared) > 5 else ''} {'has' if len(shared) == 1 else 'have'} several "
				"workers: where they are a worker pool, its children come back with its old code",
				"run `bench worker` in containers, one in each, or restart a pool's container",
			)


def find_containers(bench: Bench, tried: list[str]) -> list[Containers]:
	"""The workers behind Redis, where the settings say so or this process runs in a container; a list of at most one.

	A container with a supervisord of its own does not count: that supervisord may run this bench, and be down just
	now or refuse this user. Says in `tried` why there is none.
	"""
	if bench.settings.process_manager == NAME:
		return [Containers(bench)]
	if not environment.runs_in_a_container():
		tried.append("containers: this is none")
	elif supervisor.present(bench) or (bench.path / "config/supervisor.conf").exists():
		tried.append(
			'containers: this is one, but with a supervisord; where workers are in others, set "process_manager": "containers"'
		)
	else:
		return [Containers(bench)]
	return []


def as_service(slot: Slot, return_seconds: float) -> Service:
	"""The service that a slot is; it is in backoff where its worker is not back yet."""
	worker = slot.last
	return Service(
		name=slot.name,
		kind=WORKERS,
		state="running" if slot.is_held else "backoff",
		pid=0,
		started_at=worker.birth.timestamp() if worker.birth and slot.is_held else 0,
		stop_wait_seconds=GRACE_SECONDS,
		command="",
		log_paths=(),
		problem="" if slot.is_held else f"its container was not started again; give it the {POLICY}",
		worker=worker.name if slot.is_held else "",
		shared_address=worker.address,
		return_seconds=return_seconds,
	)


def living(
	workers: Sequence[Worker], clients: Iterable[Client], redis_started_at: float, now: float
) -> list[Worker]:
	"""All registered workers but those that are certainly dead: a job that may still run must not be run again. Pure.

	A worker is dead if Redis has no connection of its name and, in addition, none from its address, or a later worker
	has its host name and pid, as in a container that was started anew. A Redis that has just started proves nothing:
	workers may not have connected again yet, and connections from before have lost their names.
	"""
	clients = list(clients)
	named = {client.name for client in clients}
	addresses = {client.address for client in clients} | {""}
	newest = newest_births(workers)

	def is_dead(worker: Worker) -> bool:
		birth = worker.birth.timestamp() if worker.birth else 0
		is_succeeded = birth > redis_started_at and worker.birth != newest[worker.hostname, worker.pid]
		is_silent = worker.address not in addresses and redis_started_at < now - RECONNECT_SECONDS
		return bool(clients) and worker.name not in named and (is_succeeded or is_silent)

	return [worker for worker in workers if not is_dead(worker)]


def who_waits(snapshot: RqSnapshot, clients: Iterable[Client]) -> dict[str, int]:
	"""Redis client ids of the idle workers that wait for a job, by worker. Pure.

	The waiting connection has no name (FACTS 1.3), so all that is known is how many wait at an address. Where as many
	wait as there are idle workers, each of those waits. Which worker has which connection makes no difference, as
	workers at one address are asked to stop together. Where workers of other benches share the address, nothing is
	known.
	"""
	idle: dict[str, list[str]] = {}
	for worker in snapshot.workers:
		if worker.state == "idle" and worker.address and worker.address not in snapshot.other_addresses:
			idle.setdefault(worker.address, []).append(worker.name)
	blocked: dict[str, list[int]] = {}
	for client in clients:
		if client.waits_for_a_job:
			blocked.setdefault(client.address, []).append(client.id)
	return {
		name: client
		for address, names in idle.items()
		if len(names) == len(blocked.get(address, ()))
		for name, client in zip(names, blocked[address])
	}
