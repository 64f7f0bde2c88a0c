"""Steps on the queues: hold new jobs back, find interrupted ones, let workers take jobs again."""

from ...core.text import pluralize
from ...jobs import rescue
from ...rq import connection
from ...rq.suspension import describe_holder
from ..run import Run
from ..strategies import STRATEGIES


def hold_queues(run: Run, detail: list[str]) -> None:
	"""Take the lease, so that no worker takes a new job."""
	if not (run.options.touches_workers and run.redis_is_up):
		detail.append("not needed")
		return
	run.retirement.take_flag()
	if run.lease.foreign:
		who, mend = describe_holder(run.lease.foreign, run.bench.bench_id)
		run.note(f"the queues were suspended already, {who}: that is left as it is ({mend})")
	detail.append("workers take no new job")
	if run.strategy.name in STRATEGIES:
		found = rescue.rescue_earlier(run.watch, run.options.interrupted, run.signature, run.note)
		run.rescued.add(found)
		detail += [f"{pluralize(len(found.lost_and_found), 'job')} found, interrupted earlier"] * bool(
			found.lost_and_found
		)


def rescue_jobs(run: Run, detail: list[str]) -> None:
	"""Find every interrupted or lost job and run it again."""
	if not run.redis_is_up and not connection.is_up(run.watch.observer.redis):
		detail.append("not possible: Redis is down")
		return
	done = run.patiently(lambda: rescue.rescue(run.watch, run.options.interrupted, run.signature, run.note))
	run.rescued.add(done)
	found = len(done.requeued) + len(done.held) + len(done.failed)
	detail.append(f"{pluralize(found, 'job')} found" if found else "nothing was interrupted or lost")
	for job_id in done.still_running:
		run.warn(f"job {job_id} still runs in a process without a worker, on old code")


def release_queues(run: Run, detail: list[str]) -> None:
	"""Give the lease back: workers take jobs again."""
	if not run.lease.is_held:
		detail.append("not needed")
		return
	run.lease.release()
	detail.append("left suspended, as it was found" if run.lease.foreign else "workers take jobs")
