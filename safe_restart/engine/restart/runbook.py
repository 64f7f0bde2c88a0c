"""The runbook: what a restart does, in order.

Top to bottom: the table of steps, then `restart`, which takes those of the chosen strategy (strategies.py). Each step is a
function in steps/; it is journaled before it acts and after it acted.
"""

import time
from collections.abc import Callable
from contextlib import suppress as suppressed

from redis.exceptions import RedisError

from ..core.errors import COMPLETED, RestartError
from ..core.text import pluralize
from ..core.waiting import LOOK_INTERVAL_SECONDS
from ..state import records
from .run import Run
from .steps.app_hooks import after_hooks, before_hooks
from .steps.drain import drain_workers
from .steps.handover import wait_for_manual_restart
from .steps.migration import maintenance_on, migrate, pick_up, restore, start_again, stop_for_migration
from .steps.preflight import preflight
from .steps.queues import rescue_jobs, resume, suspend
from .steps.replace import follow, interrupt, replace, request_stops, request_stops_of_host, stop
from .steps.services import begin_services, end_probe, restart_redis
from .steps.verify import count, name_stragglers, verify
from .strategies import WATCHING_STEPS, steps_of

# Every step by its name; strategies.py says which of them a strategy takes, and in what order.
STEPS: dict[str, Callable[[Run, list[str]], None]] = {
	"preflight": preflight,
	"before-hooks": before_hooks,
	"suspend": suspend,
	"drain": drain_workers,
	"request-stop": request_stops,
	"hand-over": wait_for_manual_restart,
	"maintenance": maintenance_on,
	"begin-services": begin_services,
	"stop": stop,
	"stop-for-migration": stop_for_migration,
	"restart-redis": restart_redis,
	"migrate": migrate,
	"start": start_again,
	"restore": restore,
	"replace": replace,
	"interrupt": interrupt,
	"replace-interrupted": replace,
	"follow": follow,
	"leave": request_stops_of_host,
	"rescue": rescue_jobs,
	"resume": resume,
	"verify": verify,
}


def restart(run: Run) -> bool:
	"""Carry out the request from top to bottom and leave the bench working whatever happens; only a migration that failed
	keeps things down, and is gone on with from there when a person says so.

	Writes its report into the journal, and returns whether workers with a job are still to be replaced. Raises
	RestartError where it was refused, timed out, was cancelled or failed; before anything was stopped that means that all is
	as before, from then on that everything was started again.
	"""
	status = records.FAILED
	try:
		run_steps(run, steps_from_here(run))
		status = records.COMPLETED
	finally:
		run.lease.release()
		end_probe(run)
		after_hooks(run, status)
	return finish(run)


def steps_from_here(run: Run) -> tuple[str, ...]:
	"""All steps; or, after a migration that failed, those from where a person lets it go on."""
	names = steps_of(run.strategy, run.options)
	resume_at = run.request.state.get("resume_at")
	if not resume_at:
		return names
	pick_up(run)
	names = names[names.index(resume_at) :]
	if run.options.allow_running_jobs and "migrate" in names:
		# Workers that were left with a job may take others by now.
		return ("suspend", "drain", "stop-for-migration", *names)
	return names


def finish(run: Run) -> bool:
	"""Write the report; while workers with a job are still old, or not back yet, that is not the end. Returns whether
	they are."""
	is_unfinished = bool(run.stragglers or run.pending_services.pending)
	name_stragglers(run)
	write_report(run, records.WATCHING if is_unfinished else records.COMPLETED)
	return is_unfinished


def watch_stragglers(run: Run) -> None:
	"""Stay until the last old worker is replaced, while the caller has long returned."""
	run.state.is_watching = True
	run.report.warnings.clear()
	try:
		run_steps(run, WATCHING_STEPS)
	finally:
		run.lease.release()
	name_stragglers(run)
	write_report(run, records.COMPLETED)


def hold(run: Run) -> None:
	"""Drain, say so, and keep the bench drained until somebody resumes it or the time is over. Restarts nothing."""
	try:
		run_steps(run, run.strategy.steps)
		until = time.monotonic() + run.options.hold_seconds
		count(run)
		clock = time.strftime("%H:%M:%S UTC", time.gmtime(time.time() + run.options.hold_seconds))
		outcome = f"Drained: no job runs, new ones wait. Held until {clock}, or until `safe-restart resume`."
		run.write_report(records.WATCHING, COMPLETED, outcome)
		with run.step("hold") as detail:
			while time.monotonic() < until and not run.is_asked_to_stop:
				if run.lease.holder != run.stopper.suspension_token:
					drain_again(run)
				time.sleep(LOOK_INTERVAL_SECONDS)
			detail.append("resumed" if time.monotonic() < until else "the time was over")
	finally:
		run.lease.release()
	run.write_report(records.COMPLETED, run.report.exit_code, "Workers take jobs again.")


def drain_again(run: Run) -> None:
	"""The hold of another bench ended and ours took its place; a worker that looked in between would take one more job."""
	with suppressed(RestartError, RedisError, OSError):  # the hold goes on all the same
		run.stopper.take_suspension()
		drain_workers(run, [])


def leave(run: Run) -> None:
	"""Let the workers of this host leave, each when it holds no job; the helper does not stay, as its container ends too."""
	try:
		run_steps(run, run.strategy.steps)
	finally:
		run.lease.release()
	busy = sum(asked.was_busy for asked in run.stopper.stop_requests.values())
	outcome = f"{pluralize(len(run.stopper.stop_requests), 'worker')} of this host asked to stop"
	run.write_report(
		records.COMPLETED,
		COMPLETED,
		f"{outcome}, {busy} of them after their job." if busy else f"{outcome}.",
	)


def run_steps(run: Run, names: tuple[str, ...]) -> None:
	for name in names:
		run.check_cancelled()
		with run.step(name) as detail:
			STEPS[name](run, detail)


def write_report(run: Run, status: str) -> None:
	if run.report.problems:
		status = records.FAILED
	run.write_report(status, run.report.exit_code, run.report.outcome)
