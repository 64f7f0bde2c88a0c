"""Says what a restart would do to the bench as it is now, for each strategy.

The command line and the board use it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from redis.exceptions import RedisError

from ..core.bench import Bench
from ..jobs import retry_policy
from ..managers.base import ProcessManager, RestartMode
from ..restart.options import Options
from ..restart.strategies import DRAIN, STRATEGIES, Strategy, adapt_to_manager
from ..rq.snapshot import RqReader
from ..state.journal import Journal
from ..state.records import Request, Step
from ..workers.fleet import Fleet, FleetReader
from .estimate import Estimate, estimate
from .plan import Plan, make_plan, plan_without_redis

PAST_REQUESTS = 20


@dataclass(frozen=True)
class Preview:
	"""Plans and estimates by the name of the strategy. Without Redis there is one plan and no estimate."""

	plans: dict[str, Plan]
	estimates: dict[str, Estimate]

	@property
	def first(self) -> Plan:
		return next(iter(self.plans.values()))


def strategies_for(manager: ProcessManager) -> list[Strategy]:
	"""The strategies that this process manager can carry out, as it carries them out."""
	mode = manager.restart_mode
	possible = [one for one in STRATEGIES.values() if mode == RestartMode.INDIVIDUAL or not one.interrupts]
	return [adapt_to_manager(one, mode) for one in possible]


def preview(
	bench: Bench, manager: ProcessManager, strategies: Iterable[Strategy], options: Options
) -> Preview:
	"""Read the bench once and say what each of these strategies would do.

	Touches nothing; raises RestartError.
	"""
	rules = retry_policy.of_bench(bench)
	past = ended_restarts(bench)
	try:
		fleet = FleetReader(bench, manager, RqReader(bench)).read()
	except (RedisError, OSError):
		only = plan_without_redis()
		return Preview({only.strategy: only}, {})
	grace = grace_seconds(fleet, options)
	plans, estimates = {}, {}
	for strategy in strategies:
		plan = plans[strategy.name] = make_plan(fleet, strategy, options, rules)
		estimates[strategy.name] = estimate(strategy, options, plan, grace, past)
	return Preview(plans, estimates)


def grace_seconds(fleet: Fleet, options: Options) -> float:
	"""The longest grace that an interrupting strategy gives a job, in seconds."""
	if options.force_kill_timeout is not None:
		return options.force_kill_timeout
	return max((program.service.stop_wait_seconds for program in fleet.programs), default=0.0)


def ended_restarts(bench: Bench) -> list[tuple[Request, list[Step]]]:
	"""The last restarts that have ended, with their steps, the newest first."""
	journal = Journal(bench)
	ended = [one for one in journal.requests(PAST_REQUESTS) if one.strategy != DRAIN and one.finished_at]
	return [(request, journal.steps(request.id)) for request in ended]
