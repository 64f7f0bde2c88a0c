"""Steps that replace workers and services."""

import time

from ...core.text import pluralize
from ...core.waiting import LOOK_INTERVAL_SECONDS
from ...managers.base import START_TIMEOUT_SECONDS
from ...processes.classify import REDIS, WORKERS
from ..run import WAITING_FOR_PEER, Run
from ..strategies import FINISH_FIRST
from .services import begin_services, end_probe, restart_redis
from .workers import advance, interrupt, prove_return, request_stop, wait_back, wait_gone

CALM_INTERVAL_SECONDS = 0.25  # while only stragglers are watched


def stop(run: Run, detail: list[str]) -> None:
	"""From here on it goes forward only. Finish first: every worker leaves. Otherwise: the grace ends."""
	if run.strategy.busy == FINISH_FIRST:
		run.can_be_cancelled = False
		begin_services(run)
		if WORKERS in run.options.only:
			prove_return(run)
			request_stop(run, {unit.name for unit in run.untold()})
			wait_gone(run)
			detail.append(f"{pluralize(len(run.retirement.told), 'worker')} left")
	else:
		killed = interrupt(run)
		detail.append(
			f"{pluralize(killed, 'worker')} killed with a job" if killed else "no job had to be interrupted"
		)
	if REDIS in run.options.only:
		restart_redis(run)
		detail.append("Redis is new")
	if run.strategy.busy != FINISH_FIRST:
		wait_back(run)
		wait_for_web(run)


def replace(run: Run, detail: list[str]) -> None:
	"""Everything that can be new by now becomes new: web, scheduler, socketio and the workers without a job."""
	run.can_be_cancelled = False
	begin_services(run)
	wait_back(run)
	if not run.strategy.interrupts:  # or jobs would have their grace and the web's boot
		wait_for_web(run)
	workers = sum(told.is_gone for told in run.retirement.told.values())
	kinds = [service.kind for service in run.manager.services() if service.kind != WORKERS]
	others = [kind for kind in run.options.only if kind in kinds]
	detail.append(
		", ".join(others + [f"{workers} of {len(run.retirement.told)} workers programs"] * bool(workers))
	)


def wait_for_web(run: Run) -> None:
	"""Until it answers again, and so measure how long it was away."""
	if run.probe:
		run.probe.wait_until_ok(START_TIMEOUT_SECONDS)
		end_probe(run)


def follow(run: Run, detail: list[str]) -> None:
	"""Wait for workers with a job to be replaced: within the timeout, or, once the call returned, to the end."""
	seconds = float("inf") if run.is_watching else run.options.wait_workers_timeout
	deadline = time.monotonic() + seconds
	while True:
		stragglers = run.stragglers  # asked first: one that leaves from here on is then seen to be away
		away = advance(run)
		if not (away or stragglers) or time.monotonic() > deadline or is_stuck(run):
			break
		if run.is_watching and is_superseded(run):
			break
		time.sleep(CALM_INTERVAL_SECONDS if run.is_watching and not away else LOOK_INTERVAL_SECONDS)
	left = len(run.stragglers)
	detail.append(
		f"{pluralize(left, 'worker')} still in a job on old code" if left else "every worker is new"
	)


def is_stuck(run: Run) -> bool:
	"""New workers do not stay up, so those that were kept for them are better left serving with their old code."""
	return bool(run.account.problems) and all(told.how == WAITING_FOR_PEER for told in run.stragglers)


def is_superseded(run: Run) -> bool:
	still_open = run.journal.open_requests()  # the oldest first
	ids = [request.id for request in still_open]
	return run.request.id not in ids or any(
		other.started_at for other in still_open[ids.index(run.request.id) + 1 :]
	)
