"""How long a restart should take: what the last ones took beside waiting, and what running jobs may still need. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from ..restart.options import Options
from ..restart.strategies import RETURN, Strategy
from ..state.records import Request, Step
from .plan import Plan

LAST_RESTARTS = 5
# Steps whose length the running jobs decide, and the migration.
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
	"""`seconds` is how long it takes where nothing has to be waited for, None where none was measured yet; `at_most` is
	with the wait for jobs, None where nothing bounds that."""

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
	"""From requests that were completed, the newest first. `grace_seconds` is the longest that an interrupting strategy
	gives a job."""
	measured = [without_waiting(steps) for request, steps in past if request.exit_code in (0, 6)]
	measured = measured[:LAST_RESTARTS]
	seconds = round(median(measured), 1) if measured else None
	wait = wait_for_jobs(strategy, options, plan, grace_seconds)
	why = (
		f"The last {len(measured)} restarts took {seconds:g} s beside waiting for jobs."
		if len(measured) > 1
		else f"The last restart took {seconds:g} s beside waiting for jobs."
		if measured
		else "No restart has been measured on this bench yet."
	)
	if plan.running and strategy.busy == RETURN:
		why += " It does not wait for the jobs that run."
	elif plan.running:
		why += f" The jobs that run end within {wait:.0f} s, or are not waited for any longer."
	return Estimate(seconds, round(seconds + wait, 1) if seconds is not None else None, why)


def wait_for_jobs(strategy: Strategy, options: Options, plan: Plan, grace_seconds: float) -> float:
	"""The longest that running jobs hold the restart up, in seconds."""
	if not plan.running or strategy.busy == RETURN or not options.touches_workers:
		return 0.0
	bound = grace_seconds if strategy.interrupts else options.wait_workers_timeout
	return min(bound, plan.all_done_within_seconds if plan.all_done_within_seconds is not None else bound)


def without_waiting(steps: Iterable[Step]) -> float:
	return sum(step.seconds for step in steps if step.name not in WAITING_STEPS)
