"""What the board in the browser shows and asks for, as JSON: the desk's API and the demo answer with these."""

from dataclasses import asdict

from redis.exceptions import RedisError

from ..core.bench import Bench
from ..core.errors import Refused
from ..core.timestamps import seconds_between, utc_now
from ..jobs import held, retry_policy
from ..managers import detect
from ..managers.base import EACH
from ..restart.options import Options
from ..restart.recovery import RecoveryAction, recovery_action_of
from ..restart.strategies import DRAIN, ROLLING, STRATEGIES, adapt_to_manager, steps_of, strategy_named
from ..rq import depth_history
from ..rq.snapshot import RqReader
from ..sites.visibility import SiteVisibility
from ..state.journal import Journal
from ..state.records import OPEN, Event, Request, Step
from ..state.report import RestartReport
from ..workers.fleet import FleetReader
from . import plan as plans
from . import status as statuses
from .estimate import forecast

HISTORY = 20


def overview(bench: Bench, sight: SiteVisibility) -> dict:
	"""All that the board shows at first sight; says what could not be seen instead of raising."""
	seen = statuses.read_status(bench)
	journal = Journal(bench)
	shown = statuses.as_json(seen)
	aside, elsewhere, chart = [], 0, depth_history.NONE
	if seen.fleet:
		redis = seen.observer.redis
		try:
			aside, elsewhere = held_jobs_of(bench, seen.observer, sight)
			depth_history.add_sample(bench, redis, seen.fleet.look)
			chart = depth_history.read_samples(bench, redis)
		except (RedisError, OSError) as error:
			shown["problems"].append(f"Redis went away ({error})")
	return {
		"bench": bench.path.name,
		"now": utc_now(),
		"strategies": [
			{
				"name": one.name,
				"summary": one.summary,
				"interrupts": one.interrupts,
				"holds_jobs": one.holds_lease,
			}
			for one in STRATEGIES.values()
		],
		"defaults": defaults(bench),
		"problems": shown["problems"],
		"suspended_by": shown["suspended_by"],
		"suspended_by_bench": shown["suspended_by_bench"],
		"services": shown["services"],
		"workers": [{**worker, "job": sight.of_job(worker["job"])} for worker in shown["workers"]],
		"queues": [{**queue, "started": len(queue["started"])} for queue in shown["queues"]],
		"depths": chart,
		"current": brief(journal, seen.current, sight),
		"abandoned": seen.is_abandoned,
		"last": brief(journal, seen.last, sight),
		"history": [summary(request, sight) for request in journal.requests(HISTORY)],
		"set_aside": aside,
		"set_aside_elsewhere": elsewhere,
	}


def defaults(bench: Bench) -> dict:
	"""What the Restart dialog begins with; settings may choose otherwise."""
	options = Options()
	chosen = bench.settings.get("defaults") or {}
	return {
		"strategy": ROLLING,
		"wait_workers_timeout": options.wait_workers_timeout,
		"force_kill_timeout": options.force_kill_timeout,
		"migrate_timeout": options.migrate_timeout,
		"interrupted": options.interrupted,
		**chosen,
	}


def held_jobs_of(bench: Bench, observer: RqReader, sight: SiteVisibility) -> tuple[list[dict], int]:
	"""Held and delayed jobs of those sites that may be seen, and how many there are of others."""
	found = held.held_jobs(bench, observer)
	mine = [one for one in found if sight.covers(one.job.site)]
	return [held.as_json(bench, one) for one in mine], len(found) - len(mine)


def summary(request: Request, sight: SiteVisibility) -> dict:
	"""One line of the history."""
	return {
		**statuses.summary(request),
		"outcome": sight.of_text(request.outcome or ""),
		"started_at": request.started_at,
		"seconds": round(seconds_between(request.started_at, request.finished_at), 3),
		"options": request.options,
	}


def brief(journal: Journal, request: Request | None, sight: SiteVisibility) -> dict | None:
	return progress_of(request, journal.steps(request.id), sight) if request else None


def progress(bench: Bench, request_id: str, after: int, sight: SiteVisibility) -> dict:
	"""How far a request has come, with the events after number `after`. Raises Refused where there is none."""
	journal = Journal(bench)
	request = journal.request(request_id)
	events = [told(event, sight) for event in journal.events(request_id, after)]
	return {**progress_of(request, journal.steps(request_id), sight), "events": events}


def told(event: Event, sight: SiteVisibility) -> dict:
	return {"number": event.number, "at": event.at, "kind": event.kind, "text": sight.of_text(event.text)}


def progress_of(request: Request, steps: list[Step], sight: SiteVisibility) -> dict:
	account = {**asdict(RestartReport()), **(request.report or {})}
	mine = [job for job in account["affected"] if sight.covers(job["site"])]
	migrates = bool(request.options.get("migrate"))
	strategy = adapt_to_manager(strategy_named(request.strategy), request.state.get("way", EACH))
	return {
		**summary(request, sight),
		"is_open": request.status in OPEN,
		"can_cancel": can_cancel(request, steps),
		"planned_steps": list(steps_of(strategy, migrates)),
		"steps": [
			{
				"name": step.name,
				"status": step.status if step.finished_at else "running",
				"started_at": step.started_at,
				"seconds": step.seconds,
				"detail": sight.of_text(step.detail),
			}
			for step in steps
		],
		**{name: account[name] for name in ("jobs", "workers", "web")},
		"warnings": [sight.of_text(warning) for warning in account["warnings"]],
		"affected": mine,
		"affected_elsewhere": len(account["affected"]) - len(mine),
	}


def can_cancel(request: Request, steps: list[Step]) -> bool:
	"""Whether it would still be unwound; a drain always can be, and sites in maintenance are not left there."""
	names = {step.name for step in steps}
	is_before = recovery_action_of(request, steps) is RecoveryAction.UNWIND
	return (
		request.status in OPEN and not request.cancel_requested and is_before and "maintenance" not in names
	)


def previews(bench: Bench, options: dict, sight: SiteVisibility) -> dict:
	"""What each strategy would do to the jobs that exist now, and how long it should take. Raises RestartError."""
	choice = Options.from_dict(options)
	rules = retry_policy.of_bench(bench)
	past = finished(bench)
	manager = detect.find_manager(bench)
	try:
		fleet = FleetReader(bench, manager, RqReader(bench)).see()
	except (RedisError, OSError):
		plan = plans.plan_without_redis(choice)
		return answer({plan.strategy: plan}, {}, sight)
	grace = max((unit.service.stop_wait_seconds for unit in fleet.units), default=0.0)
	grace = choice.force_kill_timeout if choice.force_kill_timeout is not None else grace
	by_strategy, expected = {}, {}
	chosen = [one for one in STRATEGIES.values() if manager.way == EACH or not one.interrupts]
	for strategy in (adapt_to_manager(one, manager.way) for one in chosen):
		plan = by_strategy[strategy.name] = plans.plan(fleet, strategy, choice, rules)
		expected[strategy.name] = asdict(forecast(strategy, choice, plan, grace, past))
	return answer(by_strategy, expected, sight)


def answer(by_strategy: dict[str, plans.Plan], expected: dict, sight: SiteVisibility) -> dict:
	first = next(iter(by_strategy.values()))
	return {
		"plans": {name: sight.of_plan(plan.as_dict()) for name, plan in by_strategy.items()},
		"recommended": first.recommended,
		"reason": first.reason,
		"expected": expected,
		"blockers": [],
		"users_active": None,
	}


def finished(bench: Bench) -> list[tuple[Request, list[Step]]]:
	journal = Journal(bench)
	ended = [r for r in journal.requests(HISTORY) if r.strategy != DRAIN and r.finished_at]
	return [(request, journal.steps(request.id)) for request in ended]


def history(bench: Bench, sight: SiteVisibility, limit: int = HISTORY, before: str | None = None) -> dict:
	"""Requests, the newest first; those before the one that is named, where one is."""
	return {"requests": [summary(request, sight) for request in Journal(bench).requests(limit, before)]}


def cancel(bench: Bench, request_id: str) -> dict:
	"""Ask a request to stop; it does so where nothing was stopped yet. Raises Refused where it has ended."""
	journal = Journal(bench)
	request = journal.request(request_id)
	if not request.is_open:
		raise Refused(f"Request {request.id} has ended already ({request.status}).")
	journal.ask_to_cancel(request.id)
	return {
		"cancelled": True,
		"sentence": "Asked to cancel. Where nothing was stopped yet the bench stays as it is; otherwise it is finished.",
	}


def requeue(bench: Bench, job_id: str, who: str, sight: SiteVisibility) -> dict:
	"""Put a held or delayed job at the front of its queue. Raises RestartError."""
	settle_by_hand(held.requeue, bench, job_id, who, sight)
	return {"sentence": f"{job_id} stands at the front of its queue."}


def discard(bench: Bench, job_id: str, who: str, sight: SiteVisibility) -> dict:
	"""Mark a held or delayed job as failed. Raises RestartError."""
	settle_by_hand(held.discard, bench, job_id, who, sight)
	return {"sentence": f"{job_id} is marked as failed and will not run."}


def settle_by_hand(action, bench: Bench, job_id: str, who: str, sight: SiteVisibility) -> None:
	with held.reading_rq(bench) as observer:
		if not sight.covers(observer.job(job_id).site):
			raise Refused(f"Job {job_id!r} does not belong to this site. Nothing was changed.")
		action(bench, observer, job_id, who)
