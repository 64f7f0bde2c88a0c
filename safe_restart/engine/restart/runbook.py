"""The runbook: what a restart does, in order.

`restart` runs the steps of the chosen strategy (strategies.py); each step is one function in steps/. A step is journaled before it acts and after it acted.
"""

import time
from contextlib import suppress

from redis.exceptions import RedisError

from ..core.errors import COMPLETED, RestartError
from ..core.text import pluralize
from ..core.waiting import LOOK_INTERVAL_SECONDS
from ..state import records
from .run import Run
from .steps.app_hooks import after_hooks, before_hooks
from .steps.drain import drain_workers, leave_host
from .steps.handover import wait_for_manual_restart
from .steps.migration import maintenance_on, migrate, pick_up, restore, start_again, stop_for_migration
from .steps.preflight import preflight
from .steps.queues import hold_queues, release_queues, rescue_jobs
from .steps.replace import follow, replace, stop
from .steps.services import end_probe
from .steps.verify import count, name_stragglers, verify
from .strategies import WATCHING_STEPS, steps_of


def restart(run: Run) -> bool:
	"""Carry out the request from top to bottom and leave the bench working whatever happens; only a migration that failed
	keeps things down, and is gone on with from there when a person says so.

	Sets down its report in the journal, and returns whether workers with a job are still to be replaced. Raises
	RestartError where it was refused, timed out, was cancelled or failed; before anything was stopped that means that all is
	as before, from then on that everything was started again.
	"""
	names = steps_of(run.strategy, run.options.migrate)
	if resume_at := run.request.state.get("resume_at"):
		pick_up(run)
		names = names[names.index(resume_at) :]
		if run.options.allow_running_jobs and "migrate" in names:
			names = (
				"suspend",
				"drain",
				"halt",
				*names,
			)  # workers that were left with a job may take others by now
	status = records.FAILED
	try:
		run_steps(run, names)
		status = records.COMPLETED
	finally:
		run.lease.release()
		end_probe(run)
		after_hooks(run, status)
	return finish(run)


def finish(run: Run) -> bool:
	"""Set down the report; while workers with a job are still old, or not back yet, that is not the end. Returns whether
	they are."""
	is_unfinished = bool(run.stragglers or run.returning.pending)
	name_stragglers(run)
	write_report(run, records.WATCHING if is_unfinished else records.COMPLETED)
	return is_unfinished


def watch_stragglers(run: Run) -> None:
	"""Stay until the last old worker is replaced, while the caller has long returned."""
	run.is_watching = True
	run.account.warnings.clear()
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
		run.report(records.WATCHING, COMPLETED, outcome)
		with run.step("hold") as detail:
			while time.monotonic() < until and not run.is_asked_to_stop:
				if run.lease.holder != run.retirement.flag:
					drain_again(run)
				time.sleep(LOOK_INTERVAL_SECONDS)
			detail.append("resumed" if time.monotonic() < until else "the time was over")
	finally:
		run.lease.release()
	run.report(records.COMPLETED, run.account.exit_code, "Workers take jobs again.")


def drain_again(run: Run) -> None:
	"""The hold of another bench ended and ours took its place; a worker that looked in between would take one more job."""
	with suppress(RestartError, RedisError, OSError):  # the hold goes on all the same
		run.retirement.take_flag()
		drain_workers(run, [])


def leave(run: Run) -> None:
	"""Let the workers of this host leave, each when it holds no job; the helper does not stay, as its container ends too."""
	try:
		run_steps(run, run.strategy.steps)
	finally:
		run.lease.release()
	busy = sum(told.was_busy for told in run.retirement.told.values())
	outcome = f"{pluralize(len(run.retirement.told), 'worker')} of this host told to leave"
	run.report(
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
	if run.account.problems:
		status = records.FAILED
	run.report(status, run.account.exit_code, run.account.outcome)


STEPS = {
	"preflight": preflight,
	"before-hooks": before_hooks,
	"suspend": hold_queues,
	"drain": drain_workers,
	"hand-over": wait_for_manual_restart,
	"maintenance": maintenance_on,
	"stop": stop,
	"halt": stop_for_migration,
	"migrate": migrate,
	"start": start_again,
	"restore": restore,
	"replace": replace,
	"follow": follow,
	"leave": leave_host,
	"rescue": rescue_jobs,
	"resume": release_queues,
	"verify": verify,
}
