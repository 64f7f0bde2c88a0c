"""What the board in the browser shows and asks for, as JSON.

The desk's API and the demo answer with these functions.
"""

from collections.abc import Callable
from dataclasses import asdict

from redis.exceptions import RedisError

from ..core.bench import Bench
from ..core.errors import Refused
from ..core.timestamps import seconds_between, utc_now
from ..jobs import held
from ..managers.detect import find_manager
from ..restart.options import DESK, Options, defaults_of, settable_by
from ..restart.recovery import RecoveryAction, recovery_action_of
from ..restart.strategies import (
	STRATEGIES,
	adapt_to_manager,
	default_strategy,
	restart_mode_of,
	steps_of,
	strategy_named,
)
from ..rq import depth_history
from ..rq.snapshot import RqReader
from ..sites.visibility import SiteVisibility
from ..state.journal import Journal
from ..state.records import OPEN, Event, Request, Step
from ..state.report import RestartReport
from . import status as statuses
from .preview import preview, strategies_for

HISTORY = 20


def overview(bench: Bench, visibility: SiteVisibility) -> dict:
	"""All that the board shows at first sight.

	Where Redis or the process manager is away, `problems` says so.
	"""
	status = statuses.read_status(bench)
	journal = Journal(bench)
	shown = statuses.as_json(status)
	held_here: list[dict] = []
	elsewhere, chart = 0, depth_history.NONE
	if status.fleet:
		redis = status.rq_reader.redis
		try:
			held_here, elsewhere = held_jobs_of(bench, status.rq_reader, visibility)
			depth_history.add_sample(bench, redis, status.fleet.snapshot)
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
		"options": [row.as_json() for row in settable_by(DESK)],
		"problems": shown["problems"],
		"suspended_by": shown["suspended_by"],
		"suspended_by_bench": shown["suspended_by_bench"],
		"services": shown["services"],
		"workers": [{**worker, "job": visibility.of_job(worker["job"])} for worker in shown["workers"]],
		"queues": [{**queue, "started": len(queue["started"])} for queue in shown["queues"]],
		"depths": chart,
		"current": brief(journal, status.current, visibility),
		"abandoned": status.is_abandoned,
		"last": brief(journal, status.last, visibility),
		"history": [summary(request, visibility) for request in journal.requests(HISTORY)],
		"held_jobs": held_here,
		"held_jobs_elsewhere": elsewhere,
	}


def defaults(bench: Bench) -> dict:
	"""The values with which the Restart dialog begins, from the settings of the bench. Raises Refused."""
	return {"strategy": default_strategy(bench), **defaults_of(bench)}


def held_jobs_of(bench: Bench, rq_reader: RqReader, visibility: SiteVisibility) -> tuple[list[dict], int]:
	"""The held and delayed jobs of the sites that may be seen, and the number of those of other sites."""
	found = held.held_jobs(bench, rq_reader)
	mine = [one for one in found if visibility.covers(one.job.site)]
	return [held.as_json(bench, one) for one in mine], len(found) - len(mine)


def summary(request: Request, visibility: SiteVisibility) -> dict:
	"""One line of the history."""
	return {
		**statuses.summary(request),
		"outcome": visibility.of_text(request.outcome or ""),
		"started_at": request.started_at,
		"seconds": round(seconds_between(request.started_at, request.finished_at), 3),
		"options": request.options,
	}


def brief(journal: Journal, request: Request | None, visibility: SiteVisibility) -> dict | None:
	"""How far a request has come, without its events; None where there is no request."""
	return progress_of(request, journal.steps(request.id), visibility) if request else None


def progress(bench: Bench, request_id: str, after: int, visibility: SiteVisibility) -> dict:
	"""How far a request has come, with its events after number `after`.

	Raises Refused where there is no such request.
	"""
	journal = Journal(bench)
	request = journal.request(request_id)
	events = [event_as_json(event, visibility) for event in journal.events(request_id, after)]
	return {**progress_of(request, journal.steps(request_id), visibility), "events": events}


def event_as_json(event: Event, visibility: SiteVisibility) -> dict:
	return {
		"number": event.number,
		"at": event.at,
		"kind": event.kind,
		"text": visibility.of_text(event.text),
	}


def progress_of(request: Request, steps: list[Step], visibility: SiteVisibility) -> dict:
	"""How far a request has come: its steps and its report, as far as the site may see them."""
	report = {**asdict(RestartReport()), **(request.report or {})}
	mine = [job for job in report["affected"] if visibility.covers(job["site"])]
	strategy = adapt_to_manager(strategy_named(request.strategy), restart_mode_of(request))
	return {
		**summary(request, visibility),
		"is_open": request.status in OPEN,
		"can_cancel": can_cancel(request, steps),
		"planned_steps": list(steps_of(strategy, Options.from_dict(request.options))),
		"steps": [
			{
				"name": step.name,
				"status": step.status if step.finished_at else "running",
				"started_at": step.started_at,
				"seconds": step.seconds,
				"detail": visibility.of_text(step.detail),
			}
			for step in steps
		],
		**{name: report[name] for name in ("jobs", "workers", "web")},
		"warnings": [visibility.of_text(warning) for warning in report["warnings"]],
		"affected": mine,
		"affected_elsewhere": len(report["affected"]) - len(mine),
	}


def can_cancel(request: Request, steps: list[Step]) -> bool:
	"""Whether the request would still be rolled back.

	A drain always can be. A request with sites in maintenance mode goes on, as they are not left like that.
	"""
	names = {step.name for step in steps}
	is_before = recovery_action_of(request, steps) is RecoveryAction.ROLL_BACK
	return (
		request.status in OPEN and not request.cancel_requested and is_before and "maintenance" not in names
	)


def previews(bench: Bench, options: dict, visibility: SiteVisibility) -> dict:
	"""What each strategy would do to the jobs that exist now, and how long each should take.

	Raises RestartError.
	"""
	choice, manager = Options.from_dict(options), find_manager(bench)
	found = preview(bench, manager, strategies_for(manager), choice)
	return {
		"plans": {name: visibility.of_plan(plan.as_dict()) for name, plan in found.plans.items()},
		"recommended": found.first.recommended,
		"reason": found.first.reason,
		"expected": {name: asdict(one) for name, one in found.estimates.items()},
		"blockers": [],
		"users_active": None,
	}


def history(
	bench: Bench, visibility: SiteVisibility, limit: int = HISTORY, before: str | None = None
) -> dict:
	"""Requests, the newest first; where `before` names one, those before it."""
	return {"requests": [summary(request, visibility) for request in Journal(bench).requests(limit, before)]}


def cancel(bench: Bench, request_id: str) -> dict:
	"""Ask for the cancellation of a request. Raises Refused where it has ended.

	Where nothing was stopped yet the request ends; otherwise it is finished.
	"""
	journal = Journal(bench)
	request = journal.request(request_id)
	if not request.is_open:
		raise Refused(f"Request {request.id} has ended already ({request.status}). Nothing was changed.")
	journal.ask_to_cancel(request.id)
	return {
		"cancelled": True,
		"sentence": "Asked to cancel. If nothing was stopped yet, the bench stays as it is; otherwise the restart "
		"is finished.",
	}


def requeue(bench: Bench, job_id: str, who: str, visibility: SiteVisibility) -> dict:
	"""Put a held or delayed job at the front of its queue. Raises RestartError."""
	settle_by_hand(held.requeue, bench, job_id, who, visibility)
	return {"sentence": f"{job_id} is at the front of its queue."}


def discard(bench: Bench, job_id: str, who: str, visibility: SiteVisibility) -> dict:
	"""Mark a held or delayed job as failed. Raises RestartError."""
	settle_by_hand(held.discard, bench, job_id, who, visibility)
	return {"sentence": f"{job_id} is marked as failed and will not run."}


def settle_by_hand(
	action: Callable[[Bench, RqReader, str, str], object],
	bench: Bench,
	job_id: str,
	who: str,
	visibility: SiteVisibility,
) -> None:
	"""Let a person decide about a job, unless the job is of a site that may not be seen.

	Raises RestartError.
	"""
	with held.reading_rq(bench) as rq_reader:
		if not visibility.covers(rq_reader.job(job_id).site):
			raise Refused(f"Job {job_id!r} does not belong to this site. Nothing was changed.")
		action(bench, rq_reader, job_id, who)
