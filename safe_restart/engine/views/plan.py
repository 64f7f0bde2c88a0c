"""Says what a restart would do to the jobs that exist now. Pure: it reads a snapshot and nothing else."""

from dataclasses import asdict, dataclass

from ..core.text import pluralize
from ..jobs.actions import FAIL, HOLD
from ..jobs.retry_policy import Policy
from ..managers.base import RestartMode
from ..restart.options import Options
from ..restart.strategies import FINISH_FIRST, NOW, ROLLING, STRATEGIES, WAIT_WORKERS, Strategy
from ..rq.snapshot import Job
from ..workers.fleet import Fleet, WorkerProgram


@dataclass(frozen=True)
class Fate:
	"""What would become of one running job.

	`may_be_interrupted`: its timeout allows it to outlast the grace.
	"""

	job: str
	method: str
	site: str
	pid: int
	age_seconds: float
	seconds_left: float | None
	fate: str
	may_be_interrupted: bool


@dataclass(frozen=True)
class Plan:
	"""The answer to "what would happen to my jobs".

	all_done_within_seconds: the longest that running jobs may still take by their own timeouts; None where
	    one has none
	"""

	strategy: str
	summary: str
	running: list[Fate]
	queued: int
	queued_fate: str
	scheduled: int
	scheduled_fate: str
	all_done_within_seconds: float | None
	recommended: str
	reason: str

	def as_dict(self) -> dict:
		return asdict(self)


def make_plan(fleet: Fleet, strategy: Strategy, options: Options, rules: Policy) -> Plan:
	"""What this strategy would do to the jobs of the fleet, and which strategy fits them best."""
	running = [
		fate_of(job, program, fleet, strategy, options, rules)
		for program in [*fleet.programs, *[None] * bool(fleet.unmanaged)]
		for worker in (program.workers if program else fleet.unmanaged)
		if (job := fleet.snapshot.job_of(worker))
	]
	recommended, reason = recommend(running, strategy)
	return Plan(
		strategy=strategy.name,
		summary=strategy.summary,
		running=running,
		queued=fleet.snapshot.queued,
		queued_fate=queued_fate(strategy, options, fleet.snapshot.other_benches),
		scheduled=fleet.snapshot.scheduled,
		scheduled_fate="stay scheduled and run when they are due",
		all_done_within_seconds=longest_left(running),
		recommended=recommended,
		reason=reason,
	)


def longest_left(running: list[Fate]) -> float | None:
	"""The longest that these jobs may still take, in seconds; None where one of them has no limit."""
	left = [fate.seconds_left for fate in running if fate.seconds_left is not None]
	return max(left, default=0.0) if len(left) == len(running) else None


def fate_of(
	job: Job, program: WorkerProgram | None, fleet: Fleet, strategy: Strategy, options: Options, rules: Policy
) -> Fate:
	"""What becomes of one running job; `program` is None where its worker has no process manager within
	reach."""
	worker = next(worker for worker in fleet.workers if worker.job_id == job.id)
	left = job.seconds_left(fleet.snapshot.now)
	interrupted = False
	if not options.touches_workers:
		fate = "goes on: no worker is restarted"
	elif program is None:
		fate = "goes on: its worker is not managed by this bench's process manager"
	elif strategy.busy == FINISH_FIRST:
		fate = f"finishes first, within {options.wait_workers_timeout:g} s, or nothing is stopped"
	elif not strategy.interrupts:
		fate = "finishes on the old code; then its worker is replaced"
	else:
		grace = options.force_kill_timeout
		grace = program.service.stop_wait_seconds if grace is None else grace
		interrupted = left is None or left > grace
		fate = fate_after(grace, job, options, rules) if interrupted else "finishes in the grace"
	return Fate(
		job=job.id,
		method=job.method,
		site=job.site,
		pid=worker.pid,
		age_seconds=round(job.age_seconds(fleet.snapshot.now), 1),
		seconds_left=None if left is None else round(left, 1),
		fate=fate,
		may_be_interrupted=interrupted,
	)


def fate_after(grace_seconds: float, job: Job, options: Options, rules: Policy) -> str:
	"""What becomes of a job that outlasts the grace."""
	action, delay = rules.decide(job.method, job.attempts + 1, options.interrupted)
	then = {HOLD: "held for a person", FAIL: "marked as failed"}.get(action, "run again")
	then += f" after {delay:.0f} s" if delay else ""
	return f"interrupted if it needs more than {grace_seconds:g} s, then {then}"


def queued_fate(strategy: Strategy, options: Options, other_benches: list[str]) -> str:
	"""What becomes of queued jobs, as the rest of a sentence that begins with "they"."""
	if not options.touches_workers:
		return "are served as always"
	if strategy.holds_lease or options.migrate:
		also = f"; so do those of {', '.join(other_benches)}, on the same Redis" if other_benches else ""
		return f"stay in their queues untouched, wait during the restart and run after it, in order{also}"
	return "stay in their queues untouched and are served meanwhile, in order"


def recommend(running: list[Fate], strategy: Strategy) -> tuple[str, str]:
	"""The strategy that fits the running jobs, with the reason."""
	if strategy.restart_mode != RestartMode.INDIVIDUAL:
		return (
			ROLLING,
			"The bench runs in the foreground, where each strategy first lets all running jobs finish.",
		)
	if not running:
		return ROLLING, "No job runs, so nothing has to wait; a worker stays on each queue that has several."
	longest = max((fate.seconds_left is None, fate.seconds_left or 0) for fate in running)
	bound = "has no time limit" if longest[0] else f"may need {longest[1]:.0f} s more"
	return ROLLING, (
		f"{pluralize(len(running), 'job')} running, and the longest {bound}; rolling interrupts none of them "
		f"and keeps the queues moving. Choose {WAIT_WORKERS} where old code must not run beside new code, as "
		"before a migration."
	)


def plan_without_redis() -> Plan:
	"""The plan while Redis is down: jobs are unknown, and only one strategy works."""
	unknown = "unknown: Redis does not answer"
	reason = "Redis does not answer. Start it first if you can: without it, running and interrupted jobs are not known."
	return Plan(NOW, STRATEGIES[NOW].summary, [], 0, unknown, 0, unknown, None, NOW, reason)
