"""Steps that wait for jobs or ask workers to leave."""

from ...core.text import pluralize
from ...workers import identity
from ...workers.drain import Undrained, drain, waking
from ..run import Run
from ..strategies import FINISH_FIRST
from .workers import next_batch, prove_return, request_stop


def drain_workers(run: Run, detail: list[str]) -> None:
	"""Finish first: wait until nothing runs. Otherwise: tell each worker that can go to go, and ask the busy ones."""
	if not run.options.touches_workers:
		detail.append("no worker is touched")
	elif not run.redis_is_up:
		detail.append("not possible: Redis is down")
	elif run.strategy.busy == FINISH_FIRST or run.options.migrate:
		prove_return(run)
		with waking(run.bench, run.retirement) as wake:
			drain(
				run.retirement,
				run.options.wait_workers_timeout,
				lambda fleet, undrained: note_progress(run, undrained),
				wake,
				leaves_busy=run.strategy.busy != FINISH_FIRST,
			)
		is_all = run.strategy.busy == FINISH_FIRST
		detail.append("nothing runs, seen twice" if is_all else "no worker takes a new job, seen twice")
	else:
		prove_return(run)
		run.can_be_cancelled = False
		request_stop(run, next_batch(run, run.watch.see()))
		busy = sum(one.was_busy for one in run.retirement.told.values())
		detail.append(
			f"{pluralize(len(run.retirement.told) - busy, 'worker')} can go now, {busy} after their job"
		)


def leave_host(run: Run, detail: list[str]) -> None:
	"""Tell the workers of this host to go, and whoever shares their address."""
	run.can_be_cancelled = False
	places = {unit.place for unit in run.untold() if any(map(identity.is_local, unit.workers))}
	request_stop(run, {unit.name for unit in run.untold() if unit.place in places})
	detail.append(f"{pluralize(len(run.retirement.told), 'worker')} told to go")


def note_progress(run: Run, undrained: Undrained) -> None:
	if undrained.busy:
		jobs = ", ".join(f"{job or 'a job'} on pid {worker.pid}" for worker, job in undrained.busy)
		run.note(f"waiting for {len(undrained.busy)}: {jobs}")
	elif undrained.unproven:
		run.note(f"waking {len(undrained.unproven)} idle workers")
	else:
		run.note("no worker can take a job")
