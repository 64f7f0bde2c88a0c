"""The runbook: what a restart does, in order.

From top to bottom: the table of steps, then `restart`, which runs those of the chosen strategy
(strategies.py). Each step is a function in steps/, and is written into the journal before it acts and after
it acted.
"""

import time
from collections.abc import Callable
from contextlib import suppress

from redis.exceptions import RedisError

from ..core.errors import COMPLETED, RestartError
from ..core.text import pluralize
from ..core.waiting import LOOK_INTERVAL_SECONDS
from ..state import records
from .run import Run
from .steps.app_hooks import after_hooks, before_hooks
from .steps.counting import count, warn_of_stragglers
from .steps.drain import drain_workers
from .steps.handover import wait_for_manual_restart
from .steps.migration import (
	load_earlier_state,
	maintenance_on,
	migrate,
	restore,
	start_again,
	stop_for_migration,
)
from .steps.preflight import preflight
from .steps.queues import rescue_jobs, resume, suspend
from .steps.replace import follow, interrupt, replace, request_stops, request_stops_of_host, stop
from .steps.services import begin_services, end_probe, restart_redis
from .steps.verify import verify
from .strategies import WATCHING_STEPS, steps_of

# Every step by its name. strategies.py says which of them a strategy takes, and in what order.
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
	"""Carry out the request from its first step to its last, and write its report into the journal.

	Whatever happens, the bench works afterwards. Only after a failed migration do workers and scheduler stay
	stopped, until a person goes on from there.

	Returns whether workers with a job are still to be replaced. Raises RestartError where the restart was
	refused, timed out, was cancelled or failed: all is as before if nothing had been stopped, else everything
	was started again.
	"""
	status = records.FAILED
	try:
		run_steps(run, remaining_steps(run))
		status = records.COMPLETED
	finally:
		run.lease.release()
		end_probe(run)
		after_hooks(run, status)
	return finish(run)


def remaining_steps(run: Run) -> tuple[str, ...]:
	"""All steps of the request; after a failed migration those from the step at which a person goes on."""
	names = steps_of(run.strategy, run.options)
	resume_at = run.request.state.get("resume_at")
	if not resume_at:
		return names
	load_earlier_state(run)
	names = names[names.index(resume_at) :]
	if run.options.allow_running_jobs and "migrate" in names:
		# Workers that were left with a job may take others by now.
		return ("suspend", "drain", "stop-for-migration", *names)
	return names


def finish(run: Run) -> bool:
	"""Write the report, and return whether the restart is unfinished: a worker with a job is old, or a
	service not back."""
	is_unfinished = bool(run.stragglers or run.pending_services.pending)
	warn_of_stragglers(run)
	write_report(run, records.WATCHING if is_unfinished else records.COMPLETED)
	return is_unfinished


def watch_stragglers(run: Run) -> None:
	"""Replace the last old workers when their jobs have ended. The command returned long ago."""
	run.state.is_watching = True
	run.report.warnings.clear()
	try:
		run_steps(run, WATCHING_STEPS)
	finally:
		run.lease.release()
	warn_of_stragglers(run)
	write_report(run, records.COMPLETED)


def drain_and_hold(run: Run) -> None:
	"""Drain, report that, and keep the bench drained until a person resumes it or the time is over.

	Restarts nothing.
	"""
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
	"""Take the suspension and drain anew, since the suspension of another bench ended and ours took its
	place: a worker that polled in between would take one more job."""
	with suppress(RestartError, RedisError, OSError):  # the bench stays suspended all the same
		run.stopper.take_suspension()
		drain_workers(run, [])


def leave(run: Run) -> None:
	"""Ask the workers of this host to leave, each when it has no job.

	The helper does not wait, as its container ends too.
	"""
	try:
		run_steps(run, run.strategy.steps)
	finally:
		run.lease.release()
	busy = sum(asked.was_busy for asked in run.stopper.stop_requests.values())
	outcome = f"{pluralize(len(run.stopper.stop_requests), 'worker')} of this host asked to stop"
	if busy:
		outcome += f", {busy} with a job to finish first"
	run.write_report(records.COMPLETED, COMPLETED, f"{outcome}.")


def run_steps(run: Run, names: tuple[str, ...]) -> None:
	"""Run these steps one after the other. Raises Cancelled between two of them, and what a step raises."""
	for name in names:
		run.check_cancelled()
		with run.step(name) as detail:
			STEPS[name](run, detail)


def write_report(run: Run, status: str) -> None:
	"""Write the report with this status, or as failed where something does not work."""
	if run.report.problems:
		status = records.FAILED
	run.write_report(status, run.report.exit_code, run.report.outcome)
