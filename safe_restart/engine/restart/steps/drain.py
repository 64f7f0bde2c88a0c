"""The step that waits until no worker can run a job."""

from ...core.text import pluralize
from ...workers.drain import Undrained, drain, waking
from ..run import Run
from ..strategies import FINISH_FIRST
from .batches import prove_return
from .workers import why_workers_are_left


def drain_workers(run: Run, detail: list[str]) -> None:
	"""Wait until no job runs; or, where running jobs may go on, until no worker can take a new one."""
	if reason := why_workers_are_left(run):
		detail.append(reason)
		return
	leaves_busy = run.strategy.busy != FINISH_FIRST
	prove_return(run)
	with waking(run.bench, run.stopper) as wake:
		drain(
			run.stopper,
			run.options.wait_workers_timeout,
			lambda fleet, undrained: note_progress(run, undrained),
			wake,
			leaves_busy,
		)
	detail.append(
		"no worker takes a new job, confirmed twice" if leaves_busy else "nothing runs, confirmed twice"
	)


def note_progress(run: Run, undrained: Undrained) -> None:
	"""Note what the drain still waits for."""
	if undrained.busy:
		jobs = ", ".join(f"{job or 'a job'} on pid {worker.pid}" for worker, job in undrained.busy)
		run.note(f"waiting for {pluralize(len(undrained.busy), 'job')}: {jobs}")
	elif undrained.unproven:
		run.note(f"waking {pluralize(len(undrained.unproven), 'worker without a job')}")
	else:
		run.note("no worker can take a job")
