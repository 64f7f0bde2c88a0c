"""Leading the workers of one restart from old to new: who is told when, who is back, who has to be killed."""

import time
from collections.abc import Iterable

from ...core.errors import RestartError
from ...core.waiting import LOOK_INTERVAL_SECONDS
from ...managers.base import START_TIMEOUT_SECONDS
from ...processes import tree
from ...workers.fleet import Fleet, WorkerProgram
from ...workers.stopper import StopRequest
from ..run import Run

GOODBYE_SECONDS = 5


def request_stop(run: Run, names: set[str]) -> None:
	"""Tell these units to go and expect each back. The lease must be held."""
	run.retirement.tell([unit for unit in run.untold() if unit.name in names])
	for name, told in run.retirement.told.items():
		if name not in run.expected:
			run.expected.add(name)
			if not told.unit.is_orphan:
				replacement = run.returning.expect(told.unit.service)
				replacement.process = told.process  # none where it had left, or lives on as an orphan
			run.note(
				f"{name} (pid {told.unit.service.pid}): {told.how}{', after its job' if told.was_busy else ''}"
			)


def next_batch(run: Run, fleet: Fleet) -> set[str]:
	"""The units that may be told now: each queue keeps one worker, either new or not told yet."""
	untold = run.untold()
	if not takes_turns(run, fleet):
		return {unit.name for unit in untold}
	is_proven = is_return_proven(run, fleet)
	if run.retirement.told and not is_proven:
		return set()
	busy = {worker.name for worker, _ in fleet.running}
	serving: dict[str, set[str]] = {}
	for unit in fleet.units:
		is_leaving = unit.name in run.retirement.told and not is_back(run, unit)
		for queue in unit.queues if not is_leaving else ():
			serving.setdefault(queue, set()).add(unit.name)
	before = run.workers_before.units
	alone = {
		queue
		for unit in before
		for queue in unit.queues
		if not any(queue in other.queues for other in before if other.place != unit.place)
	}
	places: dict[str, list[WorkerProgram]] = {}
	for unit in untold:
		places.setdefault(unit.place, []).append(unit)
	batch: set[str] = set()
	for units in sorted(
		places.values(), key=lambda units: any(w.name in busy for u in units for w in u.workers)
	):
		names = {unit.name for unit in units}
		queues = {queue for unit in units for queue in unit.queues}
		if all(queue in alone or serving.get(queue, set()) - names for queue in queues):
			batch |= names
			for queue in queues:
				serving.get(queue, set()).difference_update(names)
			if not is_proven:
				break
	return batch


def takes_turns(run: Run, fleet: Fleet) -> bool:
	"""Whether units are told batch after batch."""
	return run.strategy.in_batches or not (run.strategy.interrupts or is_return_proven(run, fleet))


def is_return_proven(run: Run, fleet: Fleet) -> bool:
	"""Whether a worker that leaves is known to come back: by who keeps it, or as one has in this restart."""
	return not run.manager.is_seen_through_redis or any(
		unit.name in run.retirement.told and is_back(run, unit) for unit in fleet.units
	)


def prove_return(run: Run) -> None:
	"""Where only trying tells whether a worker that leaves is started again, one place without a job goes first, alone.

	The lease must be held; a strategy that does not keep it gives it back meanwhile. Raises RestartError where it stays
	away; all others are then as they were.
	"""
	fleet = run.patiently(run.watch.see)
	if run.strategy.interrupts or is_return_proven(run, fleet):
		return
	idle = {unit.place for unit in run.untold()} - {unit.place for unit in fleet.units if is_in_a_job(unit)}
	names = {unit.name for unit in run.untold() if unit.place == min(idle, default=None)}
	if not names:
		run.note("every worker has a job; the first one to leave shows whether it is started again")
		return
	request_stop(run, names)
	if not run.strategy.holds_lease:
		run.lease.release()
	deadline = time.monotonic() + max(run.returning.patience_seconds(name) for name in names)
	while away := names & run.patiently(run.returning.look):
		if time.monotonic() > deadline:
			raise RestartError(not_started_again(run, away))
		time.sleep(LOOK_INTERVAL_SECONDS)
	if not run.strategy.holds_lease:
		run.retirement.take_flag()
	run.note(f"{', '.join(sorted(names))} left and was started again, so the others may go too")


def is_in_a_job(unit: WorkerProgram) -> bool:
	return any(worker.is_busy or worker.job_id for worker in unit.workers)


def not_started_again(run: Run, away: set[str]) -> str:
	services = [service for service in run.manager.services() if service.name in away]
	left = len(run.untold())
	return (
		f"{', '.join(sorted(away))} left, and was not started again in time ({services[0].problem}). The other {left} workers "
		f"were left alone and work as before. Start it: {run.manager.start_command(services[0])}. Then see to that policy, and "
		"type `safe-restart` again."
	)


def is_back(run: Run, unit: WorkerProgram) -> bool:
	told = run.retirement.told[unit.name]
	return bool(unit.workers) and unit.service.incarnation != told.unit.service.incarnation


def wait_gone(run: Run, names: Iterable[str] = ()) -> None:
	"""Wait until all units that were told are gone; of these names only those that held no job."""
	deadline = time.monotonic() + START_TIMEOUT_SECONDS
	told = run.retirement.told
	chosen = [told[name] for name in names if not told[name].was_busy] if names else list(told.values())
	while left := [one for one in chosen if not one.is_gone]:
		if time.monotonic() > deadline:
			# Suspended and told to go, so it holds no job: killing it interrupts nothing.
			kill(run, left)
		run.retirement.hasten(run.patiently(run.watch.see).look)  # seeing makes the manager notice exits
		time.sleep(LOOK_INTERVAL_SECONDS)


def retire_orphans(run: Run) -> None:
	"""Tell the workers to go that a manager which died has left, and wait for those without a job. The lease is held."""
	run.patiently(run.watch.see)
	if names := {unit.name for unit in run.untold_orphans()}:
		request_stop(run, names)
		wait_gone(run, names)


def interrupt(run: Run) -> int:
	"""Let running jobs have their grace, then kill those workers with their work-horses; returns how many were killed in
	this restart."""
	while not all(told.is_gone for told in run.retirement.told.values()):
		kill_overdue(run)
		run.patiently(run.manager.services)  # asking makes the manager notice exits
		time.sleep(LOOK_INTERVAL_SECONDS)
	return sum(told.was_killed for told in run.retirement.told.values())


def kill_overdue(run: Run) -> None:
	"""Kill the workers whose grace is over; one without a job has some seconds in any case, to say goodbye to Redis."""
	for told in run.retirement.told.values():
		grace = run.options.force_kill_timeout
		grace = told.unit.service.stop_wait_seconds if grace is None else grace
		if not told.was_busy:
			grace = max(grace, GOODBYE_SECONDS)
		if not told.is_gone and time.monotonic() - told.at >= grace:
			kill(run, [told])
			told.was_killed = told.was_busy


def kill(run: Run, told: list[StopRequest]) -> None:
	"""SIGKILL workers and work-horses, so that no process with old code remains."""
	families = [process for one in told if one.process for process in tree.family(one.process)]
	for survivor in tree.kill(families):
		run.account.problems.append(f"process {survivor.pid} could not be killed; it still runs old code")
	for one in told:
		run.note(
			f"{one.unit.name} (pid {one.unit.service.pid}) was killed{' with its job' if one.was_busy else ''}"
		)


def wait_back(run: Run) -> None:
	"""Wait until all that left is back, batch after batch, but not for workers with a job."""
	began = time.monotonic()
	while away := advance(run):
		if any(time.monotonic() - began > run.returning.patience_seconds(name) for name in away):
			run.returning.give_up(away, time.monotonic() - began)
			break
		time.sleep(LOOK_INTERVAL_SECONDS)


def advance(run: Run) -> set[str]:
	"""Move everything on by one look, and tell the next batch; returns who is away, without workers with a job. Those jobs
	that are to be interrupted have no more than their grace, however long something else takes."""
	if run.strategy.interrupts:
		kill_overdue(run)
	in_job = {name for name, told in run.retirement.told.items() if told.was_busy and not told.is_gone}
	if run.redis_is_up and any(told.lingers for told in run.retirement.told.values()):
		run.retirement.hasten(run.patiently(run.watch.see).look)
	away = run.patiently(run.returning.look) - in_job
	has_turns = run.strategy.in_batches or run.manager.is_seen_through_redis
	if run.redis_is_up and (run.untold() if has_turns else run.untold_orphans()):
		fleet = run.patiently(run.watch.see)
		batch = next_batch(run, fleet)
		# A helper that only watches has given the lock back; whoever has it now replaces these workers too.
		if batch and run.lock.take():
			was_held = run.lease.is_held
			run.retirement.take_flag()
			request_stop(run, batch)
			if not was_held:
				run.lease.release()
			if run.is_watching:
				run.lock.release()
			return batch
		# Those not told yet wait for one that is away: until it has registered, there is something to wait for.
		away |= {unit.name for unit in fleet.units if unit.name in run.expected - in_job and not unit.workers}
	return away
