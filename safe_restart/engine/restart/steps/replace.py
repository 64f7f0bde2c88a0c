"""Steps that replace workers: ask them to stop, interrupt jobs after the grace, wait until new workers are
there."""

import time

from ...core.text import pluralize
from ...core.waiting import LOOK_INTERVAL_SECONDS
from ...managers.base import START_TIMEOUT_SECONDS
from ...processes.classify import WORKERS
from ...workers import identity
from ...workers.fleet import Fleet, WorkerProgram
from ..run import WAITING_FOR_PEER, Run
from .batches import next_batch, prove_return
from .services import end_probe
from .workers import kill_overdue, request_stop, wait_gone, wait_out_grace, why_workers_are_left

CALM_INTERVAL_SECONDS = 0.25  # while only stragglers are watched


def request_stops(run: Run, detail: list[str]) -> None:
	"""Ask the first batch of workers to stop: idle ones now, busy ones after their job."""
	if reason := why_workers_are_left(run):
		detail.append(reason)
		return
	prove_return(run)
	run.pass_point_of_no_return()
	request_stop(run, next_batch(run, run.fleet_reader.read()))
	busy = sum(one.was_busy for one in run.stopper.stop_requests.values())
	asked = f"{pluralize(len(run.stopper.stop_requests), 'worker')} asked to stop"
	detail.append(f"{asked}, {busy} of them with a job" if busy else asked)


def request_stops_of_host(run: Run, detail: list[str]) -> None:
	"""Ask the workers of this host to stop, and those that share their address."""
	run.pass_point_of_no_return()
	programs = run.unasked_programs()
	here = {one.shared_address for one in programs if any(map(identity.is_local, one.workers))}
	request_stop(run, {one.name for one in programs if one.shared_address in here})
	detail.append(f"{pluralize(len(run.stopper.stop_requests), 'worker')} asked to stop")


def stop(run: Run, detail: list[str]) -> None:
	"""Stop every worker. None has a job by now."""
	run.pass_point_of_no_return()
	if WORKERS not in run.options.only:
		detail.append("no worker is restarted")
		return
	prove_return(run)
	request_stop(run, {program.name for program in run.unasked_programs()})
	wait_gone(run)
	detail.append(f"{pluralize(len(run.stopper.stop_requests), 'worker')} stopped")


def interrupt(run: Run, detail: list[str]) -> None:
	"""Let running jobs have their grace, then kill the workers that still have one, with their job."""
	killed = wait_out_grace(run)
	detail.append(
		f"{pluralize(killed, 'worker')} killed with a job" if killed else "no job had to be interrupted"
	)


def replace(run: Run, detail: list[str]) -> None:
	"""Wait until everything that can be new by now is new: web, scheduler, socketio and the workers without a
	job."""
	wait_back(run)
	gone = [asked.is_gone for asked in run.stopper.stop_requests.values()]
	if all(gone) or not run.strategy.interrupts:  # or jobs would have their grace and the web's boot
		wait_for_web(run)
	kinds = [service.kind for service in run.manager.services() if service.kind != WORKERS]
	others = [kind for kind in run.options.only if kind in kinds]
	workers = [f"workers ({sum(gone)} of {len(gone)})"] if any(gone) else []
	detail.append(", ".join(others + workers))


def wait_for_web(run: Run) -> None:
	"""Wait until the web answers again, and so measure how long it was away."""
	if run.state.probe:
		run.state.probe.wait_until_ok(START_TIMEOUT_SECONDS)
		end_probe(run)


def follow(run: Run, detail: list[str]) -> None:
	"""Wait until workers with a job are replaced: within the timeout, or to the end once the command has
	returned."""
	is_watching = run.state.is_watching
	deadline = time.monotonic() + (float("inf") if is_watching else run.options.wait_workers_timeout)
	while True:
		stragglers = run.stragglers  # read first: a worker that leaves after this is found away below
		away = advance(run)
		if not (away or stragglers) or time.monotonic() > deadline or is_stuck(run):
			break
		if is_watching and is_superseded(run):
			break
		time.sleep(CALM_INTERVAL_SECONDS if is_watching and not away else LOOK_INTERVAL_SECONDS)
	left = len(run.stragglers)
	detail.append(
		f"{pluralize(left, 'worker')} still in a job on old code" if left else "every worker is new"
	)


def is_stuck(run: Run) -> bool:
	"""Whether new workers do not stay up, so that the old ones that wait for them had better go on with their
	old code."""
	return bool(run.report.problems) and all(asked.how == WAITING_FOR_PEER for asked in run.stragglers)


def is_superseded(run: Run) -> bool:
	"""Whether this request has ended, or a later one has begun."""
	still_open = run.journal.open_requests()  # the oldest first
	ids = [request.id for request in still_open]
	return run.request.id not in ids or any(
		other.started_at for other in still_open[ids.index(run.request.id) + 1 :]
	)


def wait_back(run: Run) -> None:
	"""Wait until all services that are being replaced are back, batch after batch, but not for workers with a
	job."""
	began = time.monotonic()
	while away := advance(run):
		if any(time.monotonic() - began > run.pending_services.patience_seconds(name) for name in away):
			run.pending_services.give_up(away, time.monotonic() - began)
			break
		time.sleep(LOOK_INTERVAL_SECONDS)


def advance(run: Run) -> set[str]:
	"""Poll everything once and ask the next batch to stop.

	Returns the names of services that are away, without workers with a job.

	Jobs that are to be interrupted have no more than their grace, however long something else takes.
	"""
	if run.strategy.interrupts:
		kill_overdue(run)
	asked = run.stopper.stop_requests
	in_job = {name for name, one in asked.items() if one.was_busy and not one.is_gone}
	if run.state.redis_is_up and any(one.lingers for one in asked.values()):
		run.stopper.hasten(run.retry_transient(run.fleet_reader.read).snapshot)
	away = run.retry_transient(run.pending_services.poll) - in_job
	if not (run.state.redis_is_up and programs_for_later_batches(run)):
		return away
	fleet = run.retry_transient(run.fleet_reader.read)
	if batch := ask_next_batch(run, fleet):
		return batch
	# Programs not asked yet wait for one that is away, so it counts as away until its worker has registered.
	unregistered = {one.name for one in fleet.programs if not one.workers}
	return away | (unregistered & (run.state.expected - in_job))


def programs_for_later_batches(run: Run) -> list[WorkerProgram]:
	"""The worker programs that still have to be asked to stop."""
	has_turns = run.strategy.in_batches or run.manager.is_seen_through_redis
	return run.unasked_programs() if has_turns else run.unasked_orphans()


def ask_next_batch(run: Run, fleet: Fleet) -> set[str]:
	"""Ask the next batch to stop, and return its names.

	A helper that only watches has released the lock. Where another helper holds it, that one replaces these
	workers too.
	"""
	batch = next_batch(run, fleet)
	if not batch or not run.lock.take():
		return set()
	was_held = run.lease.is_held
	run.stopper.take_suspension()
	request_stop(run, batch)
	if not was_held:
		run.lease.release()
	if run.state.is_watching:
		run.lock.release()
	return batch
