"""Ends requests whose helper died: rolled back where nothing was stopped yet, rolled forward from then on.

Every helper first looks for such requests, so recovery is part of every start. Recovering twice is the same
as once.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import Enum

from redis.exceptions import RedisError

from ..core.bench import Bench
from ..jobs import rescue
from ..managers.base import RestartMode
from ..rq import connection
from ..rq.wakeup_job import remove_wakeup_jobs
from ..sites import maintenance
from ..state import records
from ..state.journal import Journal
from ..state.locks import BenchLock
from ..state.records import Request, Step
from .run import Run, prepare
from .runbook import finish, run_steps
from .steps.app_hooks import after_hooks
from .steps.counting import count
from .steps.migration import describe_failed_migration, load_earlier_state, stop_the_rest
from .steps.verify import what_is_wrong
from .strategies import (
	NO_RESTARTS,
	ROLLING,
	STRATEGIES,
	adapt_to_manager,
	restart_mode_of,
	steps_of,
)


class RecoveryAction(Enum):
	"""How an unfinished request is ended."""

	ROLL_BACK = "roll back"
	ROLL_FORWARD = "roll forward"


# Steps from which nothing is rolled back: something was stopped by then, or asked to stop.
IRREVOCABLE = {
	"request-stop",
	"begin-services",
	"stop",
	"stop-for-migration",
	"restore",
	"replace",
	"follow",
}


def recovery_action(
	strategy: str, steps: Iterable[str], restart_mode: RestartMode = RestartMode.INDIVIDUAL
) -> RecoveryAction:
	"""What to do with a request that reached these steps. Pure.

	Where all jobs finish first, and before a migration, only idle workers are touched before `begin-services`
	or `stop-for-migration`. Every other strategy asks workers to stop in `request-stop`, and a bench that is
	half new is made wholly new. A bench that a person restarts by hand was not stopped by us.
	"""
	if strategy in NO_RESTARTS or restart_mode == RestartMode.MANUAL:
		return RecoveryAction.ROLL_BACK
	return RecoveryAction.ROLL_FORWARD if set(steps) & IRREVOCABLE else RecoveryAction.ROLL_BACK


def recovery_action_of(request: Request, steps: Iterable[Step]) -> RecoveryAction:
	"""What to do with this request, should its helper die now. Pure."""
	return recovery_action(request.strategy, [step.name for step in steps], restart_mode_of(request))


def recover_all(
	bench: Bench, journal: Journal, lock: BenchLock, is_stop_requested: Callable[[], bool]
) -> list[str]:
	"""End every abandoned request, and return their ids. The caller holds the lock.

	Raises RestartError where the bench cannot be reached; the requests then stay for the next helper.
	"""
	requests = journal.abandoned()
	for request in requests:
		journal.begin(request.id)
		recover(prepare(bench, request, journal, lock, is_stop_requested))
	return [request.id for request in requests]


def recover(run: Run) -> None:
	"""End one request whose helper died, and write its report."""
	steps = run.journal.steps(run.request.id)
	reached = steps[-1].name if steps else "its first step"
	run.pass_point_of_no_return()
	run.warn(
		f"The helper died in {reached}, or could not write its journal from there on; another helper took over."
	)
	close_open_steps(run, steps)
	run.journal.remember(run.request.id, asks="")
	try:
		drop_lease(run)
		if run.request.state.get("prior"):
			recover_migration(run, steps)
		elif recovery_action_of(run.request, steps) is RecoveryAction.ROLL_BACK:
			roll_back(run, reached)
		else:
			finish_gently(run)
	finally:
		run.lease.release()
		after_hooks(run, run.journal.request(run.request.id).status)


def finish_gently(run: Run) -> None:
	"""Replace what is still old by the gentlest strategy, rolling, instead of the one that was chosen.

	A migration is over by then, and apps were asked.
	"""
	run.state.strategy = adapt_to_manager(STRATEGIES[ROLLING], run.manager.restart_mode)
	run.state.options = replace(run.options, migrate=False, allow_running_jobs=False)
	run_steps(run, tuple(name for name in run.strategy.steps if name != "before-hooks"))
	finish(run)


def recover_migration(run: Run, steps: list[Step]) -> None:
	"""End a request whose helper died with sites in maintenance mode.

	Go on after a migration that succeeded, keep everything down after one that may not have, and start
	everything again where none was begun.
	"""
	load_earlier_state(run)
	ended = {step.name: step.status for step in steps}.get("migrate")
	prior = run.request.state["prior"]
	is_restored = maintenance.read_prior(run.bench, list(prior)) == prior
	if is_restored and ended:
		# Only a helper that reached its end restores the sites, so what it did later is missing in the
		# journal.
		run.journal.remember(run.request.id, prior={}, halted=[])
		finish_gently(run)
	elif ended == "done":
		names = steps_of(run.strategy, run.options)
		run_steps(run, names[names.index("start") :])
		finish(run)
	elif ended:
		if run.options.allow_running_jobs:
			run.stopper.take_suspension()
			stop_the_rest(run)
		sentence = describe_failed_migration(
			run.request.id, "has an unknown end, since the helper died during it"
		)
		run.write_report(records.FAILED, 1, sentence)
	else:
		run_steps(run, ("start", "begin-services", "restore", "replace", "rescue", "verify"))
		outcome = (
			"The helper died before the migration was begun, as far as its journal goes. Everything was "
			"started again, as it was before. Type `safe-restart --migrate` to try again."
		)
		run.write_report(records.FAILED, 1, outcome)


def close_open_steps(run: Run, steps: list[Step]) -> None:
	"""Mark the step as failed in which the helper died."""
	for step in steps:
		if step.finished_at is None:
			run.journal.end_step(run.request.id, step.number, "failed", "the helper died here")


def drop_lease(run: Run) -> None:
	"""Release the suspension of the dead helper; a suspension by somebody else stays."""
	try:
		run.lease.take()
		remove_wakeup_jobs(run.bench, run.fleet_reader.redis)
		run.lease.release()
	except RedisError:
		run.warn("Redis does not answer; a suspension that the dead helper left lapses within 30 s.")


def roll_back(run: Run, reached: str) -> None:
	"""Start what is down, rescue jobs, and report that the bench is as before: this request had stopped
	nothing."""
	with run.step("roll-back") as detail:
		for service in run.manager.services():
			is_down = (
				not service.is_up
				and service.state != "backoff"
				and service.name not in run.state.intentionally_stopped
			)
			if service.kind in run.options.only and is_down:
				run.manager.start(service)
				run.note(f"{service.name} was down and was started")
		if connection.is_up(run.fleet_reader.redis):
			run.state.rescued = rescue.rescue(
				run.fleet_reader, run.options.interrupted, run.signature, run.note
			)
		wrong = what_is_wrong(run)
		count(run)
		detail.append(" ".join(wrong) or "the bench works as before")
	stopped = (
		"and had stopped nothing"
		if run.strategy.restart_mode == RestartMode.MANUAL
		else "before anything was stopped"
	)
	outcome = (
		f"The helper died in {reached}, {stopped}. The request was rolled back. "
		f"{' '.join(wrong) or 'The bench works as before.'} Type `safe-restart` to try again."
	)
	run.write_report(records.FAILED, 1, outcome)
