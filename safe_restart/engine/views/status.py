"""Reads how the bench is now: services, workers with their jobs, queues, suspension, and the restart that
runs."""

import time
from dataclasses import asdict, dataclass

from redis.exceptions import RedisError

from ..core.bench import Bench
from ..core.errors import RestartError, Unreachable
from ..managers import detect
from ..managers.base import ProcessManager, Service
from ..rq.snapshot import Job, RqReader, RqSnapshot, Worker
from ..rq.suspension import holding_bench
from ..state.journal import Journal
from ..state.records import Request
from ..workers.fleet import Fleet, FleetReader


@dataclass(frozen=True)
class Status:
	"""The state of a bench.

	`fleet` is None where Redis is away, `services` is empty where the process manager is.

	current, last: the request that runs, and the last one that has ended
	is_abandoned: the helper of the current request died
	"""

	bench: Bench
	rq_reader: RqReader
	services: list[Service]
	fleet: Fleet | None
	manager_problem: str
	redis_problem: str
	current: Request | None
	is_abandoned: bool
	last: Request | None


class UnreachableManager(ProcessManager):
	"""Stands in where no process manager can be reached: every worker then counts as unmanaged."""

	name = "no process manager"

	def services(self) -> list[Service]:
		return []

	def signal(self, service: Service, signal_name: str) -> None:
		raise Unreachable(f"{service.name} cannot be signalled: no process manager is within reach.")

	def stop(self, service: Service) -> None:
		raise Unreachable(f"{service.name} cannot be stopped: no process manager is within reach.")

	def start(self, service: Service) -> None:
		raise Unreachable(f"{service.name} cannot be started: no process manager is within reach.")

	def start_command(self, service: Service | None) -> str:
		return "`safe-restart doctor`"


def read_status(bench: Bench) -> Status:
	"""Read everything once.

	Touches nothing; where Redis or the process manager is away, the status says so.
	"""
	manager_problem = redis_problem = ""
	services: list[Service] = []
	fleet = None
	rq_reader = RqReader(bench)
	manager: ProcessManager = UnreachableManager()
	try:
		manager = detect.find_manager(bench)
		services = manager.services()
	except RestartError as error:
		manager_problem = str(error)
	try:
		fleet = FleetReader(bench, manager, rq_reader).read()
	except (RedisError, OSError) as error:
		redis_problem = f"Redis at {bench.redis_queue_url} does not answer ({error})"
	journal = Journal(bench)
	requests = journal.requests(limit=10)
	current = next((request for request in requests if request.is_open), None)
	last = next((request for request in requests if not request.is_open), None)
	return Status(
		bench,
		rq_reader,
		services,
		fleet,
		manager_problem,
		redis_problem,
		current,
		current is not None and journal.is_abandoned(current),
		last,
	)


def as_json(status: Status) -> dict:
	"""What `status --json` prints."""
	fleet = status.fleet
	return {
		"bench": str(status.bench.path),
		"services": [service_as_json(service) for service in status.services],
		"suspended_by": fleet.snapshot.suspended_by if fleet else None,
		"suspended_by_bench": other_bench(status),
		"workers": [worker_as_json(status.bench, worker, fleet.snapshot) for worker in fleet.workers]
		if fleet
		else [],
		"queues": [
			{**asdict(queue), "name": status.bench.short_queue_name(queue.name)}
			for queue in (fleet.snapshot.queues if fleet else [])
		],
		"request": summary(status.current) if status.current else None,
		"abandoned": status.is_abandoned,
		"last": summary(status.last) if status.last else None,
		"problems": [problem for problem in (status.manager_problem, status.redis_problem) if problem],
	}


def service_as_json(service: Service) -> dict:
	return {
		"name": service.name,
		"kind": service.kind,
		"state": service.state,
		"pid": service.pid or None,
		"age_seconds": round(time.time() - service.started_at, 1) if service.pid else None,
		"is_intentionally_stopped": service.is_intentionally_stopped,
	}


def worker_as_json(bench: Bench, worker: Worker, snapshot: RqSnapshot) -> dict:
	job = snapshot.job_of(worker)
	return {
		"name": worker.name,
		"pid": worker.pid,
		"hostname": worker.hostname,
		"state": worker.state,
		"queues": [bench.short_queue_name(queue) for queue in worker.queues],
		"leaves_after_job": worker.shutdown_requested,
		"job": job_as_json(job, snapshot.now) if job else None,
	}


def job_as_json(job: Job, now: float) -> dict:
	return {
		"id": job.id,
		"method": job.method,
		"site": job.site,
		"user": job.user,
		"age_seconds": round(job.age_seconds(now), 1),
		"seconds_left": job.seconds_left(now),
		"attempts": job.attempts,
	}


def other_bench(status: Status) -> str | None:
	"""The other bench on the same Redis whose restart suspends the queues of this one too; None where there
	is none."""
	token = status.fleet.snapshot.suspended_by if status.fleet else None
	holder = holding_bench(token) if token else ""
	return holder if holder and holder != status.bench.bench_id else None


def summary(request: Request) -> dict:
	"""A request without its steps, as JSON."""
	return {
		"request": request.id,
		"strategy": request.strategy,
		"status": request.status,
		"exit_code": request.exit_code,
		"requested_by": request.requested_by,
		"reason": request.reason,
		"created_at": request.created_at,
		"finished_at": request.finished_at,
		"outcome": request.outcome,
	}
