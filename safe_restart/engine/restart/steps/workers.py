"""Stopping workers: asking them to stop, waiting until they are gone, and killing those that outlast the
grace."""

import time
from collections.abc import Iterable

from ...core.waiting import LOOK_INTERVAL_SECONDS
from ...managers.base import START_TIMEOUT_SECONDS
from ...processes import tree
from ...workers.stop_request import StopRequest
from ..run import Run

GOODBYE_SECONDS = 5  # what a worker without a job has at least, to say goodbye to Redis


def why_workers_are_left(run: Run) -> str:
	"""Why this restart does not touch workers, as a detail of a step; empty where it does."""
	if not run.options.touches_workers:
		return "no worker is touched"
	return "" if run.state.redis_is_up else "not possible: Redis is down"


def request_stop(run: Run, names: set[str]) -> None:
	"""Ask these worker programs to stop, and expect each to come back. The lease must be held."""
	run.stopper.request_stop([program for program in run.unasked_programs() if program.name in names])
	for name, asked in run.stopper.stop_requests.items():
		if name in run.state.expected:
			continue
		run.state.expected.add(name)
		if not asked.program.is_orphan:
			replacement = run.pending_services.expect(asked.program.service)
			replacement.process = asked.process  # None where it had left already, or lives on as an orphan
		when = ", after its job" if asked.was_busy else ""
		run.note(f"{name} (pid {asked.program.service.pid}): {asked.how}{when}")


def wait_gone(run: Run, names: Iterable[str] = ()) -> None:
	"""Wait until all programs that were asked to stop are gone; of given names only those that had no job."""
	deadline = time.monotonic() + START_TIMEOUT_SECONDS
	asked = run.stopper.stop_requests
	chosen = [asked[name] for name in names if not asked[name].was_busy] if names else list(asked.values())
	while remaining := [one for one in chosen if not one.is_gone]:
		if time.monotonic() > deadline:
			# Suspended and asked to stop, so it holds no job: killing it interrupts nothing.
			kill(run, remaining)
		# Reading the fleet makes the manager notice exits (FACTS 2).
		run.stopper.hasten(run.retry_transient(run.fleet_reader.read).snapshot)
		time.sleep(LOOK_INTERVAL_SECONDS)


def stop_orphans(run: Run) -> None:
	"""Ask the workers to stop that a dead process manager left, and wait for those without a job.

	The lease must be held.
	"""
	run.retry_transient(run.fleet_reader.read)
	if names := {program.name for program in run.unasked_orphans()}:
		request_stop(run, names)
		wait_gone(run, names)


def wait_out_grace(run: Run) -> int:
	"""Let running jobs have their grace, then kill their workers and work-horses.

	Returns how many workers were killed with a job in this restart.
	"""
	while not all(asked.is_gone for asked in run.stopper.stop_requests.values()):
		kill_overdue(run)
		run.retry_transient(run.manager.services)  # makes the manager notice exits (FACTS 2)
		time.sleep(LOOK_INTERVAL_SECONDS)
	return sum(asked.was_killed for asked in run.stopper.stop_requests.values())


def kill_overdue(run: Run) -> None:
	"""Kill the workers whose grace is over."""
	for asked in run.stopper.stop_requests.values():
		if not asked.is_gone and time.monotonic() - asked.at >= grace_seconds(run, asked):
			kill(run, [asked])
			asked.was_killed = asked.was_busy


def grace_seconds(run: Run, asked: StopRequest) -> float:
	"""How long this worker has before it is killed; without a job at least GOODBYE_SECONDS."""
	chosen = run.options.force_kill_timeout
	grace = asked.program.service.stop_wait_seconds if chosen is None else chosen
	return grace if asked.was_busy else max(grace, GOODBYE_SECONDS)


def kill(run: Run, asked: list[StopRequest]) -> None:
	"""Send SIGKILL to workers and their work-horses, so that no process with old code remains."""
	families = [process for one in asked if one.process for process in tree.family(one.process)]
	for survivor in tree.kill(families):
		run.report.problems.append(f"Process {survivor.pid} could not be killed; it still runs old code.")
	for one in asked:
		job = " with its job" if one.was_busy else ""
		run.note(f"{one.program.name} (pid {one.program.service.pid}) was killed{job}")
