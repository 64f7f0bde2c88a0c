"""Draining a bench: idle workers are woken, busy ones finish, and then it is proved that no job runs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from redis.exceptions import RedisError

from ..core.bench import Bench
from ..core.errors import JobsStillRunning
from ..core.text import pluralize
from ..core.waiting import LOOK_INTERVAL_SECONDS
from ..managers.base import RestartMode
from ..processes import tree
from ..rq.snapshot import Job, Worker
from ..rq.wakeup_job import remove_wakeup_jobs, send_wakeup_jobs
from .fleet import Fleet, WorkerProgram
from .stop_safety import StopSafety
from .stopper import PATIENCE_SECONDS, WorkerStopper

# Idle workers are woken again after this time: finding their sockets costs more than reading a snapshot.
WAKE_SECONDS = 0.1

# Wakes idle workers: (fleet, those of them without proof, whether proof has been waited for)
Wake = Callable[[Fleet, tuple[Worker, ...], bool], None]


@dataclass(frozen=True)
class Undrained:
	"""Why a bench is not drained yet. Empty, and then false, where it is drained.

	busy: workers that have a job, with the job where it is known
	unproven: idle workers that have not provably read the suspension
	"""

	busy: tuple[tuple[Worker, Job | None], ...]
	unproven: tuple[Worker, ...]

	def __bool__(self) -> bool:
		return bool(self.busy or self.unproven)


def what_runs(fleet: Fleet, stopper: WorkerStopper) -> Undrained:
	"""Find the workers that could still run a job: each live one that has not provably read the suspension.

	A program without a registered worker that started under the suspension is booting, and will read it first; one that
	has a child runs a job, even if Redis knows of none. Unmanaged workers count only while they have a job: an idle one is
	not woken, since nothing would bring it back.
	"""
	stop_safety = stopper.stop_safety
	busy = [(worker, job) for worker, job in fleet.running if not stop_safety.has_read_suspension(worker)]
	unproven = [
		worker
		for program in fleet.programs
		for worker in program.workers
		if not stop_safety.has_read_suspension(worker) and not worker.is_busy and not worker.job_id
	]
	for program in fleet.programs:
		if not program.workers and tree.children(program.main_pid):
			busy.append((placeholder(program), None))
		elif not program.workers and not stopper.is_leaving(program) and not is_booting(program, stop_safety):
			unproven.append(placeholder(program))
	return Undrained(tuple(busy), tuple(unproven))


def is_booting(program: WorkerProgram, stop_safety: StopSafety) -> bool:
	"""Whether the program's process started under the suspension, or is not there yet."""
	process = tree.get(program.service.pid)
	return process is None or tree.started_at(process) > stop_safety.suspended_at


def placeholder(program: WorkerProgram) -> Worker:
	"""Stand in for a worker that Redis does not know, or no longer."""
	return Worker(program.name, program.service.pid, "", "", "", (), None, None, "", False)


def drain(
	stopper: WorkerStopper,
	timeout_seconds: float,
	on_change: Callable[[Fleet, Undrained], None],
	wake: Wake,
	leaves_busy: bool = False,
) -> Fleet:
	"""Wait, under the suspension, until it is proved twice in a row that no worker of the bench can run a job.

	wake: how to wake idle workers that have not read the suspension (see `waking`)
	leaves_busy: wait only until no worker can take a new job; running ones go on
	Raises JobsStillRunning when `timeout_seconds` have passed, Cancelled, and RedisError where Redis stays away.
	"""
	deadline = time.monotonic() + timeout_seconds
	unproven_since = next_wake = time.monotonic()
	proofs, before = 0, None
	while True:
		fleet = stopper.poll(patience_seconds=min(PATIENCE_SECONDS, timeout_seconds))
		stopper.hasten(fleet.snapshot)
		undrained = what_runs(fleet, stopper)
		if undrained != before:
			on_change(fleet, undrained)
			before = undrained
		proofs = 0 if undrained.unproven or (undrained.busy and not leaves_busy) else proofs + 1
		if proofs >= 2:
			return fleet
		stopper.check_cancelled()
		if (now := time.monotonic()) >= deadline and not proofs:
			raise JobsStillRunning(still_running(undrained, timeout_seconds, stopper.may_leave))
		if not undrained.unproven:
			unproven_since = now
		elif now >= next_wake:
			wake(fleet, undrained.unproven, stopper.has_waited(unproven_since))
			next_wake = now + WAKE_SECONDS
		time.sleep(LOOK_INTERVAL_SECONDS)


def still_running(undrained: Undrained, timeout_seconds: float, may_leave: bool) -> str:
	"""The sentence for people where jobs did not finish in time."""
	names = [
		f"{job or 'a job'} on worker {worker.name[:8]} (pid {worker.pid})" for worker, job in undrained.busy
	]
	names += [
		f"worker {worker.name[:8]} (pid {worker.pid}) could not be woken" for worker in undrained.unproven
	]
	rolling = ", or let each worker finish by itself with the default strategy (rolling)" if may_leave else ""
	return (
		f"{pluralize(len(names), 'worker')} still busy after {timeout_seconds:g} s: {'; '.join(names[:5])}"
		f"{' …' if len(names) > 5 else ''}. Nothing was interrupted and the bench works as before. Wait longer with "
		f"--wait-workers-timeout SECONDS{rolling}."
	)


@contextmanager
def waking(bench: Bench, stopper: WorkerStopper) -> Iterator[Wake]:
	"""Choose how this manager's idle workers are woken; wake-up jobs that no worker took are removed at the end."""
	if stopper.fleet_reader.manager.restart_mode == RestartMode.INDIVIDUAL:
		yield stopper.wake
		return
	redis = stopper.fleet_reader.redis
	try:
		yield lambda fleet, unproven, has_been_waited: send_wakeup_jobs(redis, unproven)
	finally:
		try:
			remove_wakeup_jobs(bench, redis)
		except (RedisError, OSError) as error:
			stopper.note(f"wake-up jobs that no worker took could not be removed ({error}); they do nothing")
