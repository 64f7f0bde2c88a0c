"""The strategies a person can choose, each with its steps. Pure: no clock, no process, no Redis.

A row of STRATEGIES is a strategy; runbook.py has the function of each step.
"""

from dataclasses import dataclass

from ..core.bench import Bench
from ..core.errors import Refused
from ..managers.base import RestartMode
from ..processes.classify import REDIS, SCHEDULER, WEB, WORKERS
from ..state.records import Request
from .options import RESTARTED_BY_DEFAULT, Options

ROLLING, WAIT_WORKERS, NO_WAIT_WORKERS = "rolling", "wait-workers", "no-wait-workers"
SUSPEND_RQ, NOW = "suspend-rq", "now"
# These restart nothing: DRAIN keeps the bench drained for a tool that restarts by itself, LEAVE lets the
# workers of one host leave.
DRAIN, LEAVE = "drain", "leave"

FINISH_FIRST, WAIT_BOUNDED, RETURN, INTERRUPT = "finish first", "wait", "return", "interrupt"


@dataclass(frozen=True)
class Strategy:
	"""What sets one strategy apart.

	holds_lease: new jobs wait in Redis until the end; otherwise the lease is held for milliseconds
	in_batches: workers are replaced in batches, so that a queue with several workers always has one
	busy: what happens to workers with a job. FINISH_FIRST: all jobs end before anything is stopped.
	    WAIT_BOUNDED, RETURN: each worker is replaced after its job, while the command waits or has returned.
	    INTERRUPT: after the grace they are killed with their job
	restart_mode: how the process manager makes services new
	"""

	name: str
	holds_lease: bool
	in_batches: bool
	busy: str
	steps: tuple[str, ...]
	summary: str
	restart_mode: RestartMode = RestartMode.INDIVIDUAL

	@property
	def interrupts(self) -> bool:
		return self.busy == INTERRUPT


def steps(words: str) -> tuple[str, ...]:
	return tuple(words.split())


STRATEGIES = {
	strategy.name: strategy
	for strategy in (
		Strategy(
			ROLLING,
			holds_lease=False,
			in_batches=True,
			busy=WAIT_BOUNDED,
			steps=steps(
				"preflight before-hooks suspend request-stop resume begin-services replace follow rescue verify"
			),
			summary="idle workers are replaced now, each busy one when its job has ended",
		),
		Strategy(
			WAIT_WORKERS,
			holds_lease=True,
			in_batches=False,
			busy=FINISH_FIRST,
			steps=steps(
				"preflight before-hooks suspend drain begin-services stop restart-redis rescue resume "
				"replace verify"
			),
			summary="all running jobs finish first; new ones wait in Redis",
		),
		Strategy(
			NO_WAIT_WORKERS,
			holds_lease=True,
			in_batches=False,
			busy=RETURN,
			steps=steps(
				"preflight before-hooks suspend request-stop begin-services replace resume rescue verify"
			),
			summary="all that is idle is replaced now; running jobs finish on the old code meanwhile",
		),
		Strategy(
			SUSPEND_RQ,
			holds_lease=True,
			in_batches=False,
			busy=INTERRUPT,
			steps=steps(
				"preflight before-hooks suspend request-stop begin-services replace interrupt restart-redis "
				"replace-interrupted rescue resume verify"
			),
			summary="running jobs get the grace, then are interrupted and run again; new ones wait in Redis",
		),
		Strategy(
			NOW,
			holds_lease=False,
			in_batches=False,
			busy=INTERRUPT,
			steps=steps(
				"preflight before-hooks suspend request-stop resume begin-services replace interrupt "
				"replace-interrupted rescue verify"
			),
			summary="everything at once; jobs that outlast the grace are interrupted and run again",
		),
	)
}
NO_RESTARTS = {
	DRAIN: Strategy(
		DRAIN,
		holds_lease=True,
		in_batches=False,
		busy=FINISH_FIRST,
		steps=steps("preflight suspend drain"),
		summary="running jobs finish, new ones wait in Redis, nothing is restarted",
	),
	LEAVE: Strategy(
		LEAVE,
		holds_lease=False,
		in_batches=False,
		busy=RETURN,
		steps=steps("preflight suspend leave resume"),
		summary="the workers of this host leave, those with a job when it has ended",
	),
}
# In the foreground no worker can be replaced before the others, so with every strategy all running jobs
# finish first.
FOREGROUND = {
	RestartMode.SEQUENTIAL: (
		STRATEGIES[WAIT_WORKERS].steps,
		"runs in the foreground: all running jobs finish first and new ones wait; then each service is replaced",
	),
	RestartMode.MANUAL: (
		steps("preflight before-hooks suspend drain hand-over resume rescue verify"),
		"runs in the foreground: all running jobs finish first and new ones wait; then you are told to "
		"restart it",
	),
}
# The steps that remain once the command has returned and only workers with a job are still old.
WATCHING_STEPS = steps("follow rescue verify")

MIGRATING_STEPS = steps(
	"preflight before-hooks suspend drain maintenance stop-for-migration restart-redis migrate start "
	"begin-services restore replace rescue resume verify"
)
# With --allow-running-jobs: only workers without a job are stopped. The others are asked to stop once the
# migration is over, and until then the lease keeps them from a next job.
MIGRATING_BESIDE_JOBS_STEPS = {
	ROLLING: steps(
		"preflight before-hooks suspend drain maintenance stop-for-migration migrate start begin-services "
		"restore replace follow rescue resume verify"
	),
	NO_WAIT_WORKERS: tuple(name for name in MIGRATING_STEPS if name != "restart-redis"),
}


def steps_of(strategy: Strategy, options: Options) -> tuple[str, ...]:
	"""The steps of a request, in order."""
	names = strategy.steps
	if options.migrate:
		names = MIGRATING_BESIDE_JOBS_STEPS.get(strategy.name, MIGRATING_STEPS)
	return tuple(name for name in names if name != "restart-redis" or REDIS in options.only)


def strategy_named(name: str) -> Strategy:
	"""The strategy of that name. Raises Refused for any other word."""
	if name not in STRATEGIES | NO_RESTARTS:
		raise Refused(f"{name!r} is no strategy. Nothing was touched. Choose one of {', '.join(STRATEGIES)}.")
	return (STRATEGIES | NO_RESTARTS)[name]


def default_strategy(bench: Bench) -> str:
	"""The strategy that the desk offers first, from the settings of the bench. Raises Refused."""
	name = bench.settings.defaults.get("strategy", ROLLING)
	if name not in STRATEGIES:
		raise Refused(
			f"safe_restart.defaults in {bench.config_path}: {name!r} is no strategy. Nothing was touched. "
			f"Choose one of {', '.join(STRATEGIES)}."
		)
	return name


def adapt_to_manager(strategy: Strategy, restart_mode: RestartMode) -> Strategy:
	"""The strategy as it can be carried out in this restart mode. Pure."""
	if restart_mode == RestartMode.INDIVIDUAL or strategy.name in NO_RESTARTS:
		return strategy
	names, summary = FOREGROUND[restart_mode]
	return Strategy(strategy.name, True, False, FINISH_FIRST, names, summary, restart_mode)


def restart_mode_of(request: Request) -> RestartMode:
	"""The restart mode of the bench while this request was carried out."""
	return RestartMode(request.state.get("restart_mode", RestartMode.INDIVIDUAL))


def check_foreground(strategy: Strategy, options: Options) -> None:
	"""Raises Refused where a bench in the foreground cannot do this: it ends as a whole, so no part of it can
	be stopped."""
	if strategy.restart_mode == RestartMode.INDIVIDUAL:
		return
	if strategy_named(strategy.name).interrupts:
		raise Refused(
			f"--{strategy.name} ends workers with a job, and this bench runs in the foreground, where the "
			"end of one process ends all. Nothing was touched. Type `safe-restart`, which waits until no "
			"job runs. In an emergency press Ctrl-C where the bench runs and start it again: jobs then have "
			"5 s, and `safe-restart` finds what was interrupted."
		)
	if options.migrate:
		raise Refused(
			"--migrate keeps workers stopped during the migration, and this bench runs in the foreground, "
			"where the end of one process ends all. Nothing was touched. Type `safe-restart drain --hold "
			"1800`, then `bench --site all migrate`, then restart the bench and type `safe-restart resume`."
		)
	if strategy.restart_mode == RestartMode.MANUAL and not set(RESTARTED_BY_DEFAULT) <= set(options.only):
		raise Refused(
			f"--only {','.join(options.only)} cannot be done: this bench runs in the foreground, where all "
			"stop and start together. Nothing was touched. Type the command without --only."
		)


def check_redis(strategy: Strategy, options: Options) -> None:
	"""Raises Refused where jobs could run while Redis is away: a job that ends then cannot record that."""
	if REDIS in options.only and not (strategy.holds_lease and strategy.busy in (FINISH_FIRST, INTERRUPT)):
		raise Refused(
			f"Redis cannot be restarted with {strategy.name}: a job that ends while Redis is away could not "
			"record that and would run twice. Nothing was touched. Add --wait-workers, so that no job runs then."
		)


def check_migrate(strategy: Strategy, options: Options) -> None:
	"""Raises Refused where old code could run against a half-migrated database."""
	if options.allow_running_jobs and not options.migrate:
		raise Refused(
			"--allow-running-jobs means nothing without --migrate. Nothing was touched. Add --migrate, or "
			"leave it out."
		)
	is_allowed = options.allow_running_jobs and strategy.name in MIGRATING_BESIDE_JOBS_STEPS
	if options.migrate and strategy.busy != FINISH_FIRST and not is_allowed:
		raise Refused(
			f"--migrate cannot go with {strategy.name}: jobs would run on old code while the database "
			"changes under them. Nothing was touched. Type --migrate --wait-workers; or, to let jobs run "
			"all the same, --migrate --allow-running-jobs, alone or with --no-wait-workers."
		)
	if options.migrate and not {WORKERS, SCHEDULER, WEB} <= set(options.only):
		raise Refused(
			"--migrate needs web, workers and scheduler restarted, or old code would meet the new database. "
			"Nothing was touched. Type the command without --only."
		)
