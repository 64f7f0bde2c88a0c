"""Checks whether a restart can succeed on a bench, and is safe.

Names whatever would make it fail, with the fix.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from redis import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from ..core.bench import DEFAULT_JOB_TIMEOUT_SECONDS, Bench
from ..core.errors import RestartError
from ..core.text import pluralize
from ..managers import detect
from ..managers.base import Drawback, ProcessManager, Service
from ..processes import tree
from ..processes.classify import OTHER, WEB, WORKERS
from ..rq import connection
from ..rq.snapshot import RqReader, RqSnapshot, Worker
from ..rq.suspension import describe_holder
from ..services import orphaned_services
from ..state.journal import Journal, journal_path
from ..web import health as web_health
from ..web import keeper_setup
from ..web.keeper import keeper_in
from ..workers.fleet import Fleet, FleetReader
from ..workers.orphans import find_orphans

OK, WARNING, PROBLEM = "ok", "warning", "problem"

# The code that a worker imports at its start; other files of a bench change while it runs.
CODE_GLOB = "*/**/*.py"


@dataclass(frozen=True)
class Finding:
	"""The result of one check.

	`level` is ok, warning (a restart works, with a drawback) or problem (it may fail).
	"""

	level: str
	text: str
	fix: str = ""


def examine(bench: Bench) -> list[Finding]:
	"""Check everything that a restart depends on. Touches nothing; what is wrong is returned, not raised."""
	findings = list(examine_folder(bench))
	services: list[Service] = []
	manager = None
	try:
		manager = detect.find_manager(bench)
		services = manager.services()
		findings += examine_services(bench, manager, services)
		findings += examine_web(bench, manager, services)
	except RestartError as error:
		findings.append(Finding(PROBLEM, str(error)))
	findings += examine_requests(bench)
	rq_reader = RqReader(bench)
	if not connection.is_up(rq_reader.redis):
		findings.append(Finding(PROBLEM, f"Redis at {bench.redis_queue_url} does not answer", "start it"))
		return findings
	findings += examine_redis(rq_reader.redis)
	if manager:
		fleet_reader = FleetReader(bench, manager, rq_reader)
		fleet = fleet_reader.read()
		findings += examine_suspension(bench, fleet.snapshot)
		findings += examine_workers(fleet)
		findings += examine_orphans(fleet_reader)
		findings += examine_code(bench, fleet.workers)
	return findings


def examine_folder(bench: Bench) -> Iterator[Finding]:
	if not bench.sites:
		yield Finding(WARNING, "the bench has no site, so a restart cannot verify that the web works")
	down = [answer for answer in web_health.health(bench).values() if not answer.is_ok]
	for answer in down:
		said = f"answers {answer.status}" if answer.status else f"does not answer on port {bench.web_port}"
		yield Finding(WARNING, f"site {answer.site} {said}, so a restart cannot verify it")


def examine_requests(bench: Bench) -> Iterator[Finding]:
	try:
		left = Journal(bench).abandoned() if journal_path(bench).exists() else []
	except RestartError as error:
		yield Finding(PROBLEM, str(error))
		return
	for request in left:
		yield Finding(
			WARNING,
			f"request {request.id} ({request.strategy}) was left unfinished: its helper died",
			"`safe-restart recover`",
		)


def examine_services(bench: Bench, manager: ProcessManager, services: list[Service]) -> Iterator[Finding]:
	counts = ", ".join(
		f"{sum(s.kind == kind for s in services)} {kind}" for kind in sorted({s.kind for s in services})
	)
	yield Finding(OK, f"found through {manager.name}: {counts}")
	for service in services:
		if service.state == "failed":
			yield Finding(
				PROBLEM,
				f"{service.name} has failed{f' ({service.problem})' if service.problem else ''}",
				f"see `safe-restart logs {service.name}`, fix the cause, then "
				f"`{manager.start_command(service)}`",
			)
		if service.kind != OTHER and service.is_intentionally_stopped:
			yield Finding(OK, f"{service.name} is down and has autostart=false; a restart leaves it down")
		if service.kind == OTHER:
			yield Finding(OK, f"{service.name} is no service bench knows; it is left alone")
	for drawback in drawbacks(bench, manager, services):
		yield Finding(WARNING, drawback.text, drawback.fix)


def drawbacks(bench: Bench, manager: ProcessManager, services: list[Service]) -> list[Drawback]:
	"""What would harm jobs if somebody stopped the workers by other means than ours."""
	workers = [service for service in services if service.kind == WORKERS]
	longest = {worker.name: longest_job_seconds(bench, worker.command) for worker in workers}
	return list(manager.drawbacks(longest))


def longest_job_seconds(bench: Bench, command: str) -> int:
	"""How long a job may take in the queues that a worker command serves."""
	timeouts = bench.queue_timeouts_seconds
	served = queues_of(command, timeouts)
	return max((timeouts.get(name, DEFAULT_JOB_TIMEOUT_SECONDS) for name in served), default=0)


def examine_web(bench: Bench, manager: ProcessManager, services: list[Service]) -> Iterator[Finding]:
	if lost := keeper_setup.what_is_lost(bench, manager, services):
		yield Finding(WARNING, lost, keeper_setup.FIX)
	elif any(service.kind == WEB and keeper_in(service) for service in services):
		yield Finding(OK, "the web is replaced without refusing a request")


def queues_of(command: str, known: Iterable[str]) -> list[str]:
	"""The queues that a worker command serves; `bench worker` without --queue serves all."""
	named = re.search(r"--queue(?:=|\s+)['\"]?([^\s'\";&|]+)", command)
	return named.group(1).split(",") if named else list(known)


def examine_redis(redis: Redis) -> Iterator[Finding]:
	with suppress(RedisError):
		if not connection.keeps_jobs(redis):
			yield Finding(
				WARNING,
				"Redis keeps nothing on disk: if it stops, every queued job is gone",
				"set appendonly yes in config/redis_queue.conf",
			)
	try:
		redis.client_list()
		redis.client_unblock(0, error=True)
		yield Finding(OK, "Redis allows CLIENT LIST and CLIENT UNBLOCK")
	except (NoPermissionError, ResponseError):
		yield Finding(
			WARNING,
			"Redis forbids CLIENT LIST or UNBLOCK to this user, so idle workers are stopped by RQ's "
			"shutdown command; a job popped in that very moment is found and queued again",
			"allow +client|list +client|unblock in the ACL",
		)


def examine_suspension(bench: Bench, snapshot: RqSnapshot) -> Iterator[Finding]:
	if snapshot.suspended_by:
		who, fix = describe_holder(snapshot.suspended_by, bench.bench_id)
		yield Finding(WARNING, f"the queues are suspended {who}: no worker takes a job", fix)
	if snapshot.other_queues:
		yield Finding(
			WARNING,
			f"other benches use this Redis too ({', '.join(sorted(snapshot.other_queues)[:3])}): a "
			"suspension holds their workers as well",
			"give each bench its own Redis",
		)


def examine_workers(fleet: Fleet) -> Iterator[Finding]:
	for worker in fleet.stale:
		yield Finding(
			WARNING,
			f"worker {worker.name or '?'} is registered (pid {worker.pid or 'unknown'}) and has no process",
			"RQ forgets it by itself within 8 minutes",
		)
	for worker in fleet.unmanaged:
		yield Finding(
			WARNING,
			f"worker {worker.name} (pid {worker.pid} on {worker.hostname}) is managed by no process manager "
			"within reach",
			"start it through the process manager, or stop it",
		)


def examine_orphans(fleet_reader: FleetReader) -> Iterator[Finding]:
	for program in fleet_reader.orphans:
		yield Finding(
			WARNING,
			f"worker process {program.service.pid} was left by a process manager that died; it runs old code",
			"`safe-restart` ends it when it holds no job",
		)
	services = fleet_reader.manager.services()
	for kind, process in orphaned_services.find_orphaned_services(fleet_reader.bench, services):
		yield Finding(
			WARNING,
			f"process {process.pid} ({kind}) was left by a process manager that died: it is not started "
			"again if it ends",
			f"`{orphaned_services.fix_for(kind)}`",
		)
	known = {program.service.pid for program in fleet_reader.orphans}
	for process in find_orphans(fleet_reader):
		if known & set(tree.ancestors(process)):
			continue
		yield Finding(
			WARNING,
			f"process {process.pid} is an orphaned work-horse or worker; it runs old code",
			f"let it finish, or `kill -9 {process.pid}`: its job is then found and queued again",
		)


def examine_code(bench: Bench, workers: list[Worker]) -> Iterator[Finding]:
	newest = newest_code(bench.path / "apps")
	if newest is None:
		return
	changed_at, path = newest
	old = [worker for worker in workers if worker.birth and worker.birth.timestamp() < changed_at]
	if old:
		when = datetime.fromtimestamp(changed_at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
		yield Finding(
			WARNING,
			f"{pluralize(len(old), 'worker')} older than the code on disk ({path}, changed {when})",
			"`safe-restart`",
		)


def newest_code(apps: Path) -> tuple[float, Path] | None:
	"""When the newest Python file of the apps was changed, and its path; None where there is none."""
	newest = None
	for path in apps.glob(CODE_GLOB):
		if "node_modules" in path.parts:
			continue
		with suppress(OSError):
			changed = path.stat().st_mtime
			if newest is None or changed > newest[0]:
				newest = (changed, path.relative_to(apps))
	return newest
