"""Decides which worker programs may be asked to stop now.

They are asked in batches where a queue must keep a worker. One is asked alone, before all others, where only
trying shows whether a worker that ends is started again.
"""

import time
from collections.abc import Iterable

from ...core.errors import RestartError
from ...core.waiting import LOOK_INTERVAL_SECONDS
from ...workers.fleet import Fleet, WorkerProgram
from ..run import Run
from .workers import request_stop


def next_batch(run: Run, fleet: Fleet) -> set[str]:
	"""Names of the programs that may be asked to stop now.

	Each queue keeps one worker, either new or not asked yet.
	"""
	waiting = run.unasked_programs()
	if not takes_turns(run, fleet):
		return {program.name for program in waiting}
	is_proven = is_return_proven(run, fleet)
	if run.stopper.stop_requests and not is_proven:
		return set()
	serving = programs_by_queue(run, fleet)
	at_one_address = queues_served_at_one_address(run.programs_before)
	busy = {worker.name for worker, _ in fleet.running}
	batch: set[str] = set()
	for programs in idle_first(waiting, busy):
		names = {program.name for program in programs}
		queues = {queue for program in programs for queue in program.queues}
		if all(queue in at_one_address or serving.get(queue, set()) - names for queue in queues):
			batch |= names
			for queue in queues:
				serving.get(queue, set()).difference_update(names)
			if not is_proven:
				break
	return batch


def programs_by_queue(run: Run, fleet: Fleet) -> dict[str, set[str]]:
	"""Names of the programs that serve each queue, without those that were asked to stop and are not back."""
	serving: dict[str, set[str]] = {}
	for program in fleet.programs:
		is_leaving = program.name in run.stopper.stop_requests and not is_back(run, program)
		for queue in program.queues if not is_leaving else ():
			serving.setdefault(queue, set()).add(program.name)
	return serving


def queues_served_at_one_address(programs: Iterable[WorkerProgram]) -> set[str]:
	"""Queues whose workers all share one address: they can only stop together, so that none of them can
	stay."""
	addresses: dict[str, set[str]] = {}
	for program in programs:
		for queue in program.queues:
			addresses.setdefault(queue, set()).add(program.shared_address)
	return {queue for queue, found in addresses.items() if len(found) == 1}


def idle_first(programs: Iterable[WorkerProgram], busy: set[str]) -> list[list[WorkerProgram]]:
	"""The programs in lists that share an address and can only stop together, idle ones first.

	`busy` has names of workers.
	"""
	by_address: dict[str, list[WorkerProgram]] = {}
	for program in programs:
		by_address.setdefault(program.shared_address, []).append(program)
	return sorted(
		by_address.values(), key=lambda found: any(w.name in busy for p in found for w in p.workers)
	)


def takes_turns(run: Run, fleet: Fleet) -> bool:
	"""Whether programs are asked to stop batch after batch."""
	return run.strategy.in_batches or not (run.strategy.interrupts or is_return_proven(run, fleet))


def is_return_proven(run: Run, fleet: Fleet) -> bool:
	"""Whether a worker that leaves is known to come back: its manager starts it again, or one came back in
	this restart."""
	return not run.manager.is_seen_through_redis or any(
		program.name in run.stopper.stop_requests and is_back(run, program) for program in fleet.programs
	)


def is_back(run: Run, program: WorkerProgram) -> bool:
	"""Whether a program that was asked to stop has a new process with a registered worker."""
	asked = run.stopper.stop_requests[program.name].program
	return bool(program.workers) and program.service.process_identity != asked.service.process_identity


def prove_return(run: Run) -> None:
	"""Replace one idle worker before all others, where only trying shows whether a worker that leaves is
	started again.

	Workers that share its address stop with it, and no others. The lease must be held; a strategy that does
	not keep the lease releases it meanwhile. Raises RestartError where the worker stays away; all others are
	then as they were.
	"""
	fleet = run.retry_transient(run.fleet_reader.read)
	if run.strategy.interrupts or is_return_proven(run, fleet):
		return
	names = first_to_try(run.unasked_programs(), fleet)
	if not names:
		run.note("every worker has a job; the first one that leaves will show whether it is started again")
		return
	request_stop(run, names)
	if not run.strategy.holds_lease:
		run.lease.release()
	wait_for_return(run, names)
	if not run.strategy.holds_lease:
		run.stopper.take_suspension()
	run.note(f"{', '.join(sorted(names))} left and came back, so the other workers can be replaced too")


def first_to_try(programs: list[WorkerProgram], fleet: Fleet) -> set[str]:
	"""Names of the programs at one address where no worker has a job; none where there is no such address."""
	in_a_job = {
		one.shared_address for one in fleet.programs if any(w.is_busy or w.job_id for w in one.workers)
	}
	idle = {program.shared_address for program in programs} - in_a_job
	return {program.name for program in programs if program.shared_address == min(idle, default=None)}


def wait_for_return(run: Run, names: set[str]) -> None:
	"""Wait until these programs are back. Raises RestartError where one of them is not back in time."""
	deadline = time.monotonic() + max(run.pending_services.patience_seconds(name) for name in names)
	while away := names & run.retry_transient(run.pending_services.poll):
		if time.monotonic() > deadline:
			raise RestartError(not_started_again(run, away))
		time.sleep(LOOK_INTERVAL_SECONDS)


def not_started_again(run: Run, away: set[str]) -> str:
	"""The sentence for a worker that stays away."""
	service = next(service for service in run.manager.services() if service.name in away)
	return (
		f"{', '.join(sorted(away))} stopped and was not started again in time ({service.problem}). All other "
		f"workers were left alone and work as before. Start it: {run.manager.start_command(service)}. Then "
		"correct its restart policy, and type `safe-restart` again."
	)
