"""Steps on the queues: suspend and resume them, and rescue interrupted and lost jobs."""

from ...core.text import pluralize
from ...jobs.rescue import rescue, rescue_earlier
from ...rq import connection
from ...rq.suspension import describe_holder
from ..run import Run
from ..strategies import STRATEGIES


def suspend(run: Run, detail: list[str]) -> None:
	"""Take the lease, so that no worker takes a new job, and rescue jobs that were interrupted earlier."""
	if not (run.options.touches_workers and run.state.redis_is_up):
		detail.append("not needed")
		return
	run.stopper.take_suspension()
	if run.lease.foreign:
		who, fix = describe_holder(run.lease.foreign, run.bench.bench_id)
		run.note(f"the queues were suspended already, {who}: that suspension is left as it is ({fix})")
	detail.append("workers take no new job")
	if run.strategy.name in STRATEGIES:
		found = rescue_earlier(run.fleet_reader, run.options.interrupted, run.signature, run.note)
		run.state.rescued.add(found)
		if found.lost_and_found:
			detail.append(
				f"{pluralize(len(found.lost_and_found), 'job')} found that had been interrupted earlier"
			)


def rescue_jobs(run: Run, detail: list[str]) -> None:
	"""Find every interrupted or lost job, and settle it as the options say."""
	if not run.state.redis_is_up and not connection.is_up(run.fleet_reader.redis):
		detail.append("not possible: Redis is down")
		return
	done = run.retry_transient(
		lambda: rescue(run.fleet_reader, run.options.interrupted, run.signature, run.note)
	)
	run.state.rescued.add(done)
	found = len(done.all_found)
	detail.append(
		f"{pluralize(found, 'job')} found, interrupted or lost"
		if found
		else "nothing was interrupted or lost"
	)
	for job_id in done.still_running:
		run.warn(f"job {job_id} still runs in a process without a worker, on old code")


def resume(run: Run, detail: list[str]) -> None:
	"""Release the lease: workers take jobs again."""
	if not run.lease.is_held:
		detail.append("not needed")
		return
	run.lease.release()
	detail.append("left suspended, as it was found" if run.lease.foreign else "workers take jobs")
