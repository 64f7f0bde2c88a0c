"""The steps of a restart that migrates: maintenance on, everything that runs jobs down, migrate, up again, restore."""

import time
from contextlib import suppress

import psutil

from ...core.errors import Refused, RestartError
from ...core.text import pluralize
from ...core.waiting import LOOK_INTERVAL_SECONDS
from ...managers.base import START_TIMEOUT_SECONDS, Service
from ...processes import tree
from ...processes.classify import SCHEDULER, WEB, WORKERS
from ...sites import maintenance, migrate_command
from ...sites.migrate_command import MigrationResult
from ...state.records import OUTPUT
from ...state.report import JobCounts, WorkerCounts
from ...web.health import Health
from ...workers.drain import what_runs
from ...workers.stop_request import StopRequest
from ..run import Run
from .replace import wait_back
from .services import begin_probe
from .workers import request_stop, stop_orphans

TAIL_LINES_SHOWN = 8
BOOT_STOP_SECONDS = 5
CONFIG_SECONDS = 2  # Frappe 15 reads the configuration with each request


class MigrationFailed(RestartError):
	"""Sites stay in maintenance mode and workers stay stopped until a person decides."""


def sites_of(run: Run) -> tuple[str, ...]:
	return tuple(run.options.sites) or run.bench.sites


def check_migration(run: Run) -> None:
	"""See that the sites can be migrated. Raises Refused; touches nothing."""
	unknown = set(run.options.sites) - set(run.bench.sites)
	if unknown or not sites_of(run):
		raise Refused(
			f"There is no site {', '.join(sorted(unknown)) or 'to migrate'} in {run.bench.path}. Nothing was touched."
		)
	if held := migrate_command.running_elsewhere(run.bench, sites_of(run)):
		raise Refused(f"{held} Nothing was touched.")
	maintenance.read_prior(run.bench, sites_of(run))


def maintenance_on(run: Run, detail: list[str]) -> None:
	"""Remember what was set, then put the sites into maintenance mode and pause their schedulers."""
	prior = maintenance.read_prior(run.bench, sites_of(run))
	run.journal.remember(run.request.id, prior=prior)
	run.pass_point_of_no_return()
	begin_probe(run)
	maintenance.turn_on(run.bench, prior)
	if run.state.probe and not run.state.probe.wait_until_down(CONFIG_SECONDS):
		replace_web(run)
		detail.append("web is new, as it did not notice")
	detail.append(f"{', '.join(prior)} in maintenance mode")


def replace_web(run: Run) -> None:
	"""Web processes of Frappe 16 keep the configuration for up to a minute; new ones read it at once."""
	for service in run.manager.services():
		if service.kind == WEB and service.name not in run.state.intentionally_stopped:
			run.pending_services.expect(service).begin()
	wait_back(run)


def stop_for_migration(run: Run, detail: list[str]) -> None:
	"""Stop workers and scheduler, and tell their manager to keep them down. Drained, so no job is interrupted; a worker
	that is left with its job is not touched."""
	left = busy_programs(run)
	untouched = left | run.state.intentionally_stopped
	services = [
		s for s in run.manager.services() if s.kind in (WORKERS, SCHEDULER) and s.name not in untouched
	]
	run.journal.remember(run.request.id, halted=[service.name for service in services])
	stop_orphans(run)
	for program in run.unasked_programs():
		if program.name not in left:
			run.stopper.stop_requests[program.name] = StopRequest(
				program, None, "stopped for the migration", False
			)
			run.state.expected.add(program.name)
	if not keep_down(run, services):
		raise RestartError(
			"Workers did not stop in time. The migration was not begun. Type `safe-restart recover --start-anyway` to "
			"start everything and take the sites out of maintenance mode."
		)
	stop_orphans(run)  # of a manager that died just now
	detail.append(
		f"{pluralize(len(services), 'program')} down" + (f", {len(left)} left with a job" if left else "")
	)


def busy_programs(run: Run) -> set[str]:
	"""Names of the programs that have a job still, with a warning for each job; none where all had to finish."""
	if not run.options.allow_running_jobs:
		return set()
	fleet = run.stopper.poll()
	pids = {}
	for worker, job in what_runs(fleet, run.stopper).busy:
		pids[worker.pid] = job
		run.warn(f"{job or 'a job'} (on pid {worker.pid}) was running on old code when the migration began")
	return {program.name for program in fleet.programs if set(program.pids_by_worker.values()) & set(pids)}


def stop_the_rest(run: Run) -> None:
	"""After a migration that failed, also those workers stop that had been left with a job: each once it has ended."""
	deadline = time.monotonic() + run.options.wait_workers_timeout
	while True:
		fleet = run.stopper.poll()
		busy = {worker.pid for worker, _ in what_runs(fleet, run.stopper).busy}
		halted = run.journal.request(run.request.id).state["halted"]
		up = [program for program in fleet.programs if program.name not in halted and not program.is_orphan]
		done = [program.service for program in up if not set(program.pids_by_worker.values()) & busy]
		run.journal.remember(run.request.id, halted=[*halted, *(service.name for service in done)])
		keep_down(run, done)
		if len(done) == len(up):
			return
		if time.monotonic() > deadline:
			run.warn(
				f"{len(up) - len(done)} workers still have a job on old code; they take more when it has ended"
			)
			return
		time.sleep(LOOK_INTERVAL_SECONDS)


def keep_down(run: Run, services: list[Service]) -> bool:
	"""Stop them, and once more what a manager that was started anew brings up; False where they do not stop in time."""
	names = {service.name for service in services}
	asked: dict[int, float] = {}
	deadline = (
		time.monotonic() + max((s.stop_wait_seconds for s in services), default=0) + START_TIMEOUT_SECONDS
	)
	while up := [
		s for s in run.manager.services() if s.name in names and s.state not in ("stopped", "failed")
	]:
		if time.monotonic() > deadline:
			return False
		for service in up:
			if service.state != "stopping":
				run.manager.stop(service)
				asked[service.pid] = time.monotonic()
			elif not run.is_old(service) and time.monotonic() - asked.get(service.pid, 0) > BOOT_STOP_SECONDS:
				end_booting(run, service)
		time.sleep(LOOK_INTERVAL_SECONDS)
	return True


def end_booting(run: Run, service: Service) -> None:
	"""A worker pool that is told to stop while it boots may not hear it. One that began after the suspension has no job."""
	process = tree.get(service.pid)
	with suppress(psutil.Error):
		if process and tree.started_at(process) > run.stopper.stop_safety.suspended_at:
			tree.kill(tree.family(process))
			run.note(
				f"{service.name} (pid {service.pid}) came up before the migration, did not stop and was ended"
			)


def migrate(run: Run, detail: list[str]) -> None:
	"""Migrate, with each line of its output passed on. Raises MigrationFailed; everything then stays down."""
	result = migrate_command.run_migration(
		run.bench,
		list(run.options.sites) or None,
		run.options.migrate_timeout,
		lambda line: run.journal.note(run.request.id, line, kind=OUTPUT),
		lambda: run.is_asked_to_stop,
	)
	if not result.is_ok:
		halted = run.journal.request(run.request.id).state.get("halted", [])
		keep_down(run, [service for service in run.manager.services() if service.name in halted])
		if run.options.allow_running_jobs:
			stop_the_rest(run)
		why = why_failed(result, run.options.migrate_timeout)
		raise MigrationFailed(describe_failed_migration(run.request.id, why, result.tail))
	detail.append(f"migrated in {result.seconds:.1f} s")


def why_failed(result: MigrationResult, timeout_seconds: float) -> str:
	if result.was_stopped:
		return "was ended because the request was cancelled"
	if result.timed_out:
		return f"was ended after --migrate-timeout {timeout_seconds:g} s"
	return f"exited with {result.exit_code}"


def describe_failed_migration(request_id: str, why: str, tail: tuple[str, ...] = ()) -> str:
	said = "".join(f"\n  | {line}" for line in tail[-TAIL_LINES_SHOWN:])
	return (
		f"The migration {why}. Its sites stay in maintenance mode, workers and scheduler stay stopped, queued jobs stay "
		f"queued.{said}\nMend the cause, then `safe-restart retry {request_id}`; or, to go back to work as it is, "
		"`safe-restart recover --start-anyway`."
	)


def start_again(run: Run, detail: list[str]) -> None:
	"""Start what was halted."""
	halted = run.journal.request(run.request.id).state.get("halted", [])
	services = run.manager.services()
	for service in services:
		if service.name in halted and not service.is_up:
			run.manager.start(service)
			run.pending_services.expect(service)
	for name in set(halted) - {service.name for service in services}:
		run.report.problems.append(
			f"{name} was stopped, and {run.manager.name} does not know it any more; start it."
		)
	if left := {program.name for program in run.unasked_programs()}:
		if not run.lease.is_held:
			run.stopper.take_suspension()
		request_stop(run, left)
	run.lease.release()
	detail.append(f"{pluralize(len(halted), 'program')} started")


def pick_up(run: Run) -> None:
	"""Know again what an earlier helper of this request had found, before going on where that stopped."""
	run.pass_point_of_no_return()
	run.state.sites_before = {site: Health(site, 200) for site in run.request.state.get("answered", [])}
	if run.options.allow_running_jobs:
		# Those of them that had a job when it began are still old.
		run.state.workers_before = run.retry_transient(run.fleet_reader.read)
	report = run.request.report or {}
	run.report.jobs = JobCounts(**report.get("jobs", {}))
	run.report.workers = WorkerCounts(**report.get("workers", {}))


def restore(run: Run, detail: list[str]) -> None:
	"""Write exactly the values back that were set before maintenance, while the old web leaves and before the new one
	reads them (`begin-services` comes right before)."""
	prior = run.journal.request(run.request.id).state.get("prior", {})
	for sentence in maintenance.restore(run.bench, prior):
		run.warn(sentence)
	run.journal.remember(run.request.id, prior={}, halted=[])
	detail.append(f"{', '.join(prior)} as before")
