"""Draining a bench: idle workers are woken, busy ones finish, and then it is proved that nothing runs."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from .errors import JobsStillRunning
from .fleet import Fleet, Watch, has_children
from .queues import Job, Worker
from .retire import Evidence, Retirement

LOOK_SECONDS = 0.02
# Idle workers are looked for again after this time: finding their sockets costs more than a look.
WAKE_SECONDS = 0.1


@dataclass(frozen=True)
class Undrained:
	"""Why a bench is not drained yet."""

	busy: tuple[tuple[Worker, Job | None], ...]
	unproven: tuple[Worker, ...]

	def __bool__(self) -> bool:
		return bool(self.busy or self.unproven)


def what_runs(fleet: Fleet, evidence: Evidence) -> Undrained:
	"""Who could still run a job: every live worker that has not provably read the flag.

	A unit without a registered worker is booting and will meet the flag first; one that has a child runs a job,
	whatever its registration says. Strays are waited for while they have a job; nobody could bring them back.
	"""
	busy = [(worker, job) for worker, job in fleet.running if not evidence.has_read_the_flag(worker)]
	unproven = [
		worker
		for unit in fleet.units
		for worker in unit.workers
		if not evidence.has_read_the_flag(worker) and not worker.is_busy and not worker.job_id
	]
	unregistered = [
		(placeholder(unit.service.pid, unit.name), None)
		for unit in fleet.units
		if not unit.workers and has_children(unit.service.pid)
	]
	return Undrained(tuple(busy + unregistered), tuple(unproven))


def placeholder(pid: int, name: str) -> Worker:
	return Worker(name, pid, "", "", "busy", (), None, None, "", False)


def drain(
	watch: Watch,
	retirement: Retirement,
	timeout_seconds: float,
	check_cancelled: Callable[[], None],
	on_change: Callable[[Fleet, Undrained], None],
) -> Fleet:
	"""Wait, with the flag set, until it is proved twice in a row that no worker of the bench can run a job.

	Raises JobsStillRunning when `timeout_seconds` have passed, what check_cancelled raises, and RedisError.
	"""
	evidence = retirement.evidence
	deadline = time.monotonic() + timeout_seconds
	next_wake, proofs, before = 0.0, 0, None
	while True:
		fleet = watch.see()
		evidence.add(fleet)
		undrained = what_runs(fleet, evidence)
		if undrained != before:
			on_change(fleet, undrained)
			before = undrained
		proofs = 0 if undrained else proofs + 1
		if proofs >= 2:
			return fleet
		check_cancelled()
		if time.monotonic() >= deadline:
			raise JobsStillRunning(still_running(undrained, timeout_seconds))
		if undrained.unproven and time.monotonic() >= next_wake:
			retirement.wake(fleet)
			next_wake = time.monotonic() + WAKE_SECONDS
		time.sleep(LOOK_SECONDS)


def still_running(undrained: Undrained, timeout_seconds: float) -> str:
	names = [
		f"{job or 'a job'} on worker {worker.name[:8]} (pid {worker.pid})" for worker, job in undrained.busy
	]
	names += [
		f"worker {worker.name[:8]} (pid {worker.pid}) could not be woken" for worker in undrained.unproven
	]
	return (
		f"{len(names)} still busy after {timeout_seconds:g} s: {'; '.join(names[:5])}"
		f"{' …' if len(names) > 5 else ''}. Nothing was interrupted and the bench works as before. Wait longer with "
		"--wait-workers-timeout SECONDS, or let each worker finish by itself with the default strategy (rolling)."
	)
