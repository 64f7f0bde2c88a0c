"""The steps of a restart that migrates: maintenance on, stop workers and scheduler, migrate, start them
again, restore."""

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
BOOT_STOP_SECONDS = 5  # then a worker that was stopped while it boots has not heard it
# How long the web may take to notice maintenance mode. Frappe 15 notices with its next request.
CONFIG_SECONDS = 2


class MigrationFailed(RestartError):
	"""A migration failed: its sites stay in maintenance mode and workers stay stopped until a person
	decides."""


def sites_of(run: Run) -> tuple[str, ...]:
	"""The sites that are migrated: those that were named, or all."""
	return tuple(run.options.sites) or run.bench.sites


def check_migration(run: Run) -> None:
	"""Check that the sites can be migrated. Touches nothing; raises Refused."""
	unknown = set(run.options.sites) - set(run.bench.sites)
	if unknown or not sites_of(run):
		raise Refused(
			f"There is no site {', '.join(sorted(unknown)) or 'to migrate'} in {run.bench.path}. Nothing was "
			"touched."
		)
	if objection := migrate_command.running_elsewhere(run.bench, sites_of(run)):
		raise Refused(f"{objection} Nothing was touched.")
	maintenance.read_prior(run.bench, sites_of(run))


def maintenance_on(run: Run, detail: list[str]) -> None:
	"""Remember the settings of the sites, then put them into maintenance mode and pause their schedulers."""
	prior = maintenance.read_prior(run.bench, sites_of(run))
	run.journal.remember(run.request.id, prior=prior)
	run.pass_point_of_no_return()
	begin_probe(run)
	maintenance.turn_on(run.bench, prior)
	if run.state.probe and not run.state.probe.wait_until_down(CONFIG_SECONDS):
		replace_web(run)
		detail.append("web replaced, as it did not notice maintenance mode")
	detail.append(f"{', '.join(prior)} in maintenance mode")


def replace_web(run: Run) -> None:
	"""Replace the web, since web processes of Frappe 16 keep the configuration for up to a minute (FACTS 2)."""
	for service in run.manager.services():
		if service.kind == WEB and service.name not in run.state.intentionally_stopped:
			run.pending_services.expect(service).begin()
	wait_back(run)


def stop_for_migration(run: Run, detail: list[str]) -> None:
	"""Stop workers and scheduler, and have their manager keep them down.

	The bench is drained, so no job is interrupted. Where running jobs are allowed, a worker that has one is
	left alone.
	"""
	busy = busy_programs(run)
	untouched = busy | run.state.intentionally_stopped
	services = [
		s for s in run.manager.services() if s.kind in (WORKERS, SCHEDULER) and s.name not in untouched
	]
	run.journal.remember(run.request.id, halted=[service.name for service in services])
	stop_orphans(run)
	for program in run.unasked_programs():
		if program.name not in busy:
			run.stopper.stop_requests[program.name] = StopRequest(
				program, None, "stopped for the migration", False
			)
			run.state.expected.add(program.name)
	if not keep_down(run, services):
		raise RestartError(
			"Workers did not stop in time. The migration was not begun. Type `safe-restart recover "
			"--start-anyway` to start everything and take the sites out of maintenance mode."
		)
	stop_orphans(run)  # of a manager that died just now
	detail.append(f"{pluralize(len(services), 'service')} stopped")
	if busy:
		detail.append(f"{pluralize(len(busy), 'service')} left with a running job")


def busy_programs(run: Run) -> set[str]:
	"""Names of the worker programs that still have a job, with a warning for each job; none where all jobs
	had to finish."""
	if not run.options.allow_running_jobs:
		return set()
	fleet = run.stopper.poll()
	pids = set()
	for worker, job in what_runs(fleet, run.stopper).busy:
		pids.add(worker.pid)
		run.warn(f"{job or 'a job'} (on pid {worker.pid}) was running on old code when the migration began")
	return {program.name for program in fleet.programs if set(program.pids_by_worker.values()) & pids}


def stop_the_rest(run: Run) -> None:
	"""After a failed migration, also stop the workers that had been left with a job, each when its job has
	ended."""
	deadline = time.monotonic() + run.options.wait_workers_timeout
	while True:
		fleet = run.stopper.poll()
		busy = {worker.pid for worker, _ in what_runs(fleet, run.stopper).busy}
		stopped = run.journal.request(run.request.id).state["halted"]
		up = [program for program in fleet.programs if program.name not in stopped and not program.is_orphan]
		idle = [program.service for program in up if not set(program.pids_by_worker.values()) & busy]
		run.journal.remember(run.request.id, halted=[*stopped, *(service.name for service in idle)])
		keep_down(run, idle)
		if len(idle) == len(up):
			return
		if time.monotonic() > deadline:
			left = pluralize(len(up) - len(idle), "worker")
			run.warn(
				f"{left} still in a job on old code, so not stopped: each takes new jobs when its job has ended"
			)
			return
		time.sleep(LOOK_INTERVAL_SECONDS)


def keep_down(run: Run, services: list[Service]) -> bool:
	"""Stop these services and keep them down, also where a manager that was restarted starts them again.

	Returns False where they do not stop in time.
	"""
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
	"""Kill a worker pool that was stopped while it booted and did not hear it.

	One that started after the suspension has no job.
	"""
	process = tree.get(service.pid)
	with suppress(psutil.Error):
		if process and tree.started_at(process) > run.stopper.stop_safety.suspended_at:
			tree.kill(tree.family(process))
			run.note(
				f"{service.name} (pid {service.pid}) came up before the migration, did not stop and was killed"
			)


def migrate(run: Run, detail: list[str]) -> None:
	"""Migrate the sites, and note each line of the output.

	Raises MigrationFailed; workers and scheduler then stay down.
	"""
	result = migrate_command.run_migration(
		run.bench,
		list(run.options.sites) or None,
		run.options.migrate_timeout,
		lambda line: run.journal.note(run.request.id, line, kind=OUTPUT),
		lambda: run.is_asked_to_stop,
	)
	if not result.is_ok:
		stopped = run.journal.request(run.request.id).state.get("halted", [])
		keep_down(run, [service for service in run.manager.services() if service.name in stopped])
		if run.options.allow_running_jobs:
			stop_the_rest(run)
		why = why_failed(result, run.options.migrate_timeout)
		raise MigrationFailed(describe_failed_migration(run.request.id, why, result.tail))
	detail.append(f"migrated in {result.seconds:.1f} s")


def why_failed(result: MigrationResult, timeout_seconds: float) -> str:
	"""How a migration ended, as the rest of a sentence that begins with "The migration"."""
	if result.was_stopped:
		return "was ended because the request was cancelled"
	if result.timed_out:
		return f"was ended after --migrate-timeout {timeout_seconds:g} s"
	return f"exited with {result.exit_code}"


def describe_failed_migration(request_id: str, why: str, tail: tuple[str, ...] = ()) -> str:
	"""What happened, how the bench is and what to type, after a migration that failed."""
	said = "".join(f"\n  | {line}" for line in tail[-TAIL_LINES_SHOWN:])
	return (
		f"The migration {why}. Its sites stay in maintenance mode, workers and scheduler stay stopped, "
		f"queued jobs stay queued.{said}\nFix the cause, then type `safe-restart retry {request_id}`; or, to "
		"go back to work with the sites as they are, type `safe-restart recover --start-anyway`."
	)


def start_again(run: Run, detail: list[str]) -> None:
	"""Start what was stopped for the migration, and ask workers that were left with a job to stop after it."""
	stopped = run.journal.request(run.request.id).state.get("halted", [])
	services = run.manager.services()
	for service in services:
		if service.name in stopped and not service.is_up:
			run.manager.start(service)
			run.pending_services.expect(service)
	for name in set(stopped) - {service.name for service in services}:
		run.report.problems.append(
			f"{name} was stopped for the migration, and {run.manager.name} does not know it any more: start "
			"it by hand."
		)
	if still_old := {program.name for program in run.unasked_programs()}:
		if not run.lease.is_held:
			run.stopper.take_suspension()
		request_stop(run, still_old)
	run.lease.release()
	detail.append(f"{pluralize(len(stopped), 'service')} started")


def load_earlier_state(run: Run) -> None:
	"""Load what an earlier helper of this request had recorded, before the request goes on."""
	run.pass_point_of_no_return()
	run.state.sites_before = {site: Health(site, 200) for site in run.request.state.get("answered", [])}
	if run.options.allow_running_jobs:
		# Workers that had a job when the migration began are still old.
		run.state.workers_before = run.retry_transient(run.fleet_reader.read)
	report = run.request.report or {}
	run.report.jobs = JobCounts(**report.get("jobs", {}))
	run.report.workers = WorkerCounts(**report.get("workers", {}))


def restore(run: Run, detail: list[str]) -> None:
	"""Write the settings of the sites back exactly as they were before maintenance.

	`begin-services` comes right before: the old web is leaving, and the new one has not read the settings
	yet.
	"""
	prior = run.journal.request(run.request.id).state.get("prior", {})
	for sentence in maintenance.restore(run.bench, prior):
		run.warn(sentence)
	run.journal.remember(run.request.id, prior={}, halted=[])
	detail.append(f"{', '.join(prior)}: maintenance mode and scheduler as before")
