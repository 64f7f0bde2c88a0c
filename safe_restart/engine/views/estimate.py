"""Estimates how long a restart takes: the time that the last restarts took without waiting, and what running
jobs may still need. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from ..restart.options import Options
from ..restart.strategies import RETURN, Strategy
from ..state.records import Request, Step
from .plan import Plan

LAST_RESTARTS = 5
# Steps whose length depends on running jobs, on a person, on apps or on the migration.
WAITING_STEPS = (
	"drain",
	"request-stop",
	"hand-over",
	"stop",
	"interrupt",
	"follow",
	"hold",
	"migrate",
	"before-hooks",
	"after-hooks",
)


@dataclass(frozen=True)
class Estimate:
	"""How long a restart should take.

	seconds: where it has to wait for no job; None where no restart was measured yet
	at_most: with the wait for jobs; None where no restart was measured yet
	why: the reason, for a person
	"""

	seconds: float | None
	at_most: float | None
	why: str


def estimate(
	strategy: Strategy,
	options: Options,
	plan: Plan,
	grace_seconds: float,
	past: Iterable[tuple[Request, list[Step]]],
) -> Estimate:
	"""Estimate a restart from completed requests, the newest first.

	grace_seconds: the longest grace that an interrupting strategy gives a job
	"""
	measured = [without_waiting(steps) for request, steps in past if request.exit_code in (0, 6)]
	measured = measured[:LAST_RESTARTS]
	seconds = round(median(measured), 1) if measured else None
	wait = wait_for_jobs(strategy, options, plan, grace_seconds)
	why = (
		f"The last {len(measured)} restarts took {seconds:g} s without the wait for jobs."
		if len(measured) > 1
		else f"The last restart took {seconds:g} s without the wait for jobs."
		if measured
		else "No restart has been measured on this bench yet."
	)
	if plan.running and strategy.busy == RETURN:
		why += " It does not wait for running jobs."
	elif plan.running:
		why += f" Running jobs end within {wait:.0f} s, or are not waited for any longer."
	return Estimate(seconds, round(seconds + wait, 1) if seconds is not None else None, why)


def wait_for_jobs(strategy: Strategy, options: Options, plan: Plan, grace_seconds: float) -> float:
	"""The longest that the restart waits for running jobs, in seconds."""
	if not plan.running or strategy.busy == RETURN or not options.touches_workers:
		return 0.0
	bound = grace_seconds if strategy.interrupts else options.wait_workers_timeout
	return min(bound, plan.all_done_within_seconds if plan.all_done_within_seconds is not None else bound)


def without_waiting(steps: Iterable[Step]) -> float:
	"""How long these steps took, in seconds, without those that wait."""
	return sum(step.seconds for step in steps if step.name not in WAITING_STEPS)
