"""Reading RQ without side effects: workers, running jobs and depths of queues in one round trip."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import psutil
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from ..core.bench import Bench
from . import keys
from .client_list import Client, local_addresses, port_key, read_client
from .connection import connect, script
from .job_description import method_of, site_of, user_of

# When the last worker registered with a pid on a host, by both.
Births = dict[tuple[str, int], datetime | None]


@dataclass(frozen=True)
class Job:
	"""A job as its hash describes it. `started_at` and `enqueued_at` are UTC or None; an empty method is unknown.

	attempts: how often the job was interrupted
	why, who, at: reason, author and time of the last decision about the job
	"""

	id: str
	queue: str
	status: str
	method: str
	site: str
	enqueued_at: datetime | None
	started_at: datetime | None
	timeout_seconds: int
	worker: str
	attempts: int
	why: str = ""
	who: str = ""
	at: str = ""
	user: str = ""

	def age_seconds(self, now: float) -> float:
		"""Seconds since the job started, at Redis time `now`; 0 where it has not started."""
		return max(0.0, now - self.started_at.timestamp()) if self.started_at else 0.0

	def seconds_left(self, now: float) -> float | None:
		"""Seconds that the job may still run, at Redis time `now`; None where it has no timeout (RQ's -1)."""
		return None if self.timeout_seconds < 0 else max(0.0, self.timeout_seconds - self.age_seconds(now))

	def __str__(self) -> str:
		return f"{self.method or self.id}" + (f" ({self.site})" if self.site else "")


@dataclass(frozen=True)
class Worker:
	"""A worker's registration. It may be stale: it does not prove that the worker lives (FACTS 1.10)."""

	name: str
	pid: int
	hostname: str
	ip_address: str
	state: str
	queues: tuple[str, ...]
	job_id: str | None
	birth: datetime | None
	last_heartbeat: str
	shutdown_requested: bool

	@property
	def address(self) -> str:
		"""The IP address that the worker has for Redis; empty where RQ could not find that out."""
		return port_key(self.ip_address)[0] if ":" in self.ip_address else ""

	@property
	def is_busy(self) -> bool:
		return self.state == "busy"

	@property
	def is_suspended(self) -> bool:
		return self.state == "suspended"


@dataclass(frozen=True)
class Queue:
	"""How many jobs one queue has in each place. `name` is the full one; `started` are the ids of started jobs."""

	name: str
	depth: int
	intermediate: int
	scheduled: int
	deferred: int
	failed: int
	started: tuple[str, ...]


@dataclass(frozen=True)
class RqSnapshot:
	"""What RQ said at one instant. `now` is Redis time in seconds since the epoch."""

	now: float
	suspended_by: str | None
	suspended_ttl_ms: int
	workers: tuple[Worker, ...]
	stale: tuple[Worker, ...]
	jobs: Mapping[str, Job]
	queues: tuple[Queue, ...]
	other_queues: Mapping[str, int]
	other_addresses: frozenset[str] = frozenset()

	@property
	def queued(self) -> int:
		return sum(queue.depth for queue in self.queues)

	@property
	def scheduled(self) -> int:
		return sum(queue.scheduled for queue in self.queues)

	@property
	def other_benches(self) -> list[str]:
		"""The bench_ids of other benches with workers on this Redis, which a suspension stops too (FACTS 1.12)."""
		return sorted(
			{queue.rpartition(":")[0] or queue for queue, workers in self.other_queues.items() if workers}
		)

	def job_of(self, worker: Worker) -> Job | None:
		"""The job that a worker runs; None where it runs none, or the snapshot has none of that id."""
		return self.jobs.get(worker.job_id) if worker.job_id else None


class RqReader:
	"""Reads the RQ of one bench. Each snapshot costs one round trip; its script is sent once."""

	def __init__(self, bench: Bench):
		self.bench = bench
		self.redis = connect(bench)
		self.may_unblock = True  # until Redis forbids it to this user
		self.snapshot_script = script(self.redis, "snapshot")
		self.known_queues = [bench.queue_prefix + name for name in bench.queue_timeouts_seconds]

	def snapshot(self) -> RqSnapshot:
		"""Read what RQ says now. Raises redis.exceptions.RedisError where Redis does not answer."""
		raw = json.loads(self.snapshot_script(args=[self.bench.queue_prefix, *self.known_queues]))
		workers = [read_worker(fields) for fields in raw["workers"] or []]
		return RqSnapshot(
			now=raw["now"],
			suspended_by=raw.get("suspended") or None,
			suspended_ttl_ms=raw["suspended_ttl_ms"],
			# A killed worker can leave a registration without a pid or queues behind (FACTS 1.10).
			workers=tuple(worker for worker in workers if worker.pid and worker.queues),
			stale=tuple(worker for worker in workers if not (worker.pid and worker.queues)),
			jobs={id: self.read_job(id, fields) for id, fields in dict(raw["jobs"] or {}).items()},
			queues=tuple(sorted(map(read_queue, raw["queues"] or []), key=lambda queue: queue.name)),
			other_queues=dict(raw["other_queues"] or {}),
			other_addresses=frozenset(port_key(address)[0] for address in raw["other_addresses"] or []),
		)

	def suspended_by(self) -> str | None:
		"""The token of the present suspension; None where there is none, or Redis does not answer."""
		try:
			return self.redis.get(keys.SUSPENDED)
		except (RedisError, OSError):
			return None

	def read_job(self, job_id: str, fields: Mapping[str, str]) -> Job:
		"""A job from the fields of its hash; empty where there is no such job any more."""
		fields = fields or {}
		description = fields.get("description", "")
		return Job(
			id=job_id,
			queue=fields.get("origin", ""),
			status=fields.get("status", ""),
			method=method_of(description),
			site=self.bench.site_of_job(job_id) or site_of(description),
			user=user_of(description),
			enqueued_at=parse_time(fields.get("enqueued_at")),
			started_at=parse_time(fields.get("started_at")),
			timeout_seconds=int(float(fields.get("timeout") or 180)),  # rq/defaults.py: DEFAULT_TIMEOUT
			worker=fields.get("worker_name", ""),
			attempts=int(fields.get(keys.ATTEMPTS) or 0),
			why=fields.get(keys.WHY, ""),
			who=fields.get(keys.WHO, ""),
			at=fields.get(keys.AT, ""),
		)

	def job(self, job_id: str) -> Job:
		"""Read one job by its id; the status is empty where there is none. Raises RedisError."""
		return self.jobs([job_id])[0]

	def jobs(self, job_ids: Iterable[str]) -> list[Job]:
		"""Read jobs by their ids, in one round trip; the status is empty where there is none. Raises RedisError."""
		fields = (
			"status",
			"origin",
			"description",
			"enqueued_at",
			"started_at",
			"timeout",
			"worker_name",
			*keys.OUR_FIELDS,
		)
		ids = list(job_ids)
		with self.redis.pipeline(transaction=False) as pipe:
			for id in ids:
				pipe.hmget(keys.job_key(id), *fields)
			found = [dict(zip(fields, values)) for values in pipe.execute()]
		return [
			self.read_job(id, {name: value for name, value in values.items() if value is not None})
			for id, values in zip(ids, found)
		]

	def clients(self) -> list[Client]:
		"""Read all connections that Redis has; none where it forbids CLIENT LIST (FACTS 1.16). Raises RedisError."""
		try:
			return [read_client(client) for client in self.redis.client_list()]
		except ResponseError:  # NoPermissionError is one
			return []

	def blocked_clients(self, processes: Iterable[psutil.Process]) -> dict[int, int]:
		"""Redis client ids of the processes that wait in a blocking command, by pid.

		RQ does not name the connection that waits, so that is found by its socket (FACTS 1.3). The answer leaves out a
		process whose sockets cannot be read or that is on another host, and all where Redis forbids CLIENT LIST or UNBLOCK,
		or does not answer.
		"""
		try:
			clients = self.clients() if self.may_unblock else []
		except (RedisError, OSError):
			return {}
		waiting = {(client.address, client.port): client.id for client in clients if client.is_blocked}
		found = {}
		if waiting:
			for process in processes:
				for address in local_addresses(process):
					if address in waiting:
						found[process.pid] = waiting[address]
		return found

	def unblock(self, client_id: int) -> bool:
		"""Make a client that waits in Redis leave with an error; False where it did not wait.

		Redis does this atomically: where the answer is True, the client was given no job (FACTS 1.3).
		"""
		try:
			return bool(self.redis.client_unblock(client_id, error=True))
		except (RedisError, OSError) as error:
			self.may_unblock = not isinstance(error, NoPermissionError)
			return False

	def send_shutdown(self, worker_name: str) -> bool:
		"""Send RQ's own shutdown command to a worker, which then sends itself SIGINT; True where it was received."""
		try:
			command = json.dumps({"command": "shutdown"})
			return bool(self.redis.publish(keys.command_channel(worker_name), command))
		except (RedisError, OSError):
			return False


def read_worker(fields: Mapping[str, str]) -> Worker:
	"""A worker from the fields of its hash, and its key."""
	return Worker(
		name=fields["key"].removeprefix(keys.WORKER_PREFIX),
		pid=int(fields.get("pid") or 0),
		hostname=fields.get("hostname", ""),
		ip_address=fields.get("ip_address", ""),
		state=fields.get("state", ""),
		queues=tuple(filter(None, fields.get("queues", "").split(","))),
		job_id=fields.get("current_job") or None,
		birth=parse_time(fields.get("birth")),
		last_heartbeat=fields.get("last_heartbeat", ""),
		shutdown_requested="shutdown_requested_date" in fields,
	)


def read_queue(fields: Mapping[str, Any]) -> Queue:
	return Queue(**{**fields, "started": tuple(fields["started"] or ())})


def newest_births(workers: Iterable[Worker]) -> Births:
	"""The birth of the newest worker with a host name and pid, by both.

	A worker that was born earlier with the same two is dead, whatever process has that pid now.
	"""
	born: Births = {}
	for worker in workers:
		known = born.get((worker.hostname, worker.pid))
		if known is None or (worker.birth and worker.birth > known):
			born[worker.hostname, worker.pid] = worker.birth
	return born


def parse_time(text: str | None) -> datetime | None:
	"""Read a time of RQ, which is UTC such as 2026-11-21T22:53:16.123456Z, in some versions without the fraction."""
	try:
		return datetime.fromisoformat((text or "").replace("Z", "+00:00")).astimezone(timezone.utc)
	except (ValueError, OverflowError):
		return None
