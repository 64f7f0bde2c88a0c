"""Counts what a restart did to jobs and workers, and warns of whatever still runs old code or holds jobs
back."""

import time

from ...core.waiting import LOOK_INTERVAL_SECONDS
from ...processes import tree
from ...processes.classify import WORKERS
from ...rq import connection
from ...rq.suspension import describe_holder, holding_bench
from ...services import orphaned_services
from ...workers.orphans import find_orphans
from ..run import WAITING_FOR_PEER, Run

PASSING_SECONDS = 2  # a rolling restart suspends the queues while it asks workers to stop, and no longer


def count(run: Run) -> None:
	"""Fill the report in from what Redis and the process manager say now."""
	jobs, workers, rescued = run.report.jobs, run.report.workers, run.state.rescued
	jobs.interrupted = rescued.interrupted
	jobs.requeued, jobs.delayed, jobs.held = map(len, (rescued.requeued, rescued.delayed, rescued.held))
	jobs.lost_and_found = len(rescued.lost_and_found)
	if not connection.is_up(run.fleet_reader.redis):
		return
	fleet = run.fleet_reader.read()
	still_running = set(run.state.running_at_start) & {worker.job_id for worker in fleet.workers}
	settled = {*rescued.all_found, *rescued.still_running}
	jobs.finished_during = len(set(run.state.running_at_start) - still_running - settled)
	run.report.affected = fates_of_jobs(run, still_running)
	workers.after = len(fleet.workers)
	if WORKERS in run.options.only:
		old = [w for program in fleet.programs if run.is_old(program.service) for w in program.workers]
		workers.still_old = len(old) + len(fleet.unmanaged)
		workers.replaced = max(0, workers.before - workers.still_old)


def fates_of_jobs(run: Run, still_running: set[str]) -> list[dict]:
	"""What became of each job that ran when the restart began, or was found.

	`still_running` has those that run on.
	"""
	rescued = run.state.rescued
	# A job that was queued again may run again by now, so what was decided about it comes last.
	fates = dict.fromkeys([*still_running, *rescued.still_running], "running on old code")
	fates |= dict.fromkeys(rescued.requeued, "queued again")
	fates |= dict.fromkeys(rescued.delayed, "queued again after a pause")
	fates |= {id: f"found and {fates[id]}" for id in rescued.lost_and_found if id in fates}
	fates |= dict.fromkeys(rescued.held, "held") | dict.fromkeys(rescued.failed, "failed")
	rows = []
	for now in run.fleet_reader.rq_reader.jobs(dict.fromkeys([*run.state.running_at_start, *fates])):
		known = run.state.running_at_start.get(now.id) or now
		# A job whose result is kept for no time is gone when it has ended (RQ's result_ttl=0).
		fate = fates.get(now.id) or {"finished": "finished", "failed": "failed"}.get(now.status, "ended")
		rows.append({"job": now.id, "method": known.method, "site": known.site, "fate": fate})
	return rows


def warn_of_stragglers(run: Run) -> None:
	"""Warn of each worker that is still old, with the reason."""
	for asked in run.stragglers:
		name = f"{asked.program.name} (pid {asked.program.service.pid})"
		if asked.how != WAITING_FOR_PEER:
			run.warn(f"{name} still runs a job on old code; it is replaced when the job has ended")
		elif asked.program.is_orphan:
			run.warn(
				f"{name} was left by a {run.manager.name} that died and may run old code; `safe-restart` ends it"
			)
		elif run.report.problems:
			run.warn(
				f"{name} was left with its old code, so that its queues are served while the new workers fail"
			)
		else:
			run.warn(f"{name} still runs old code; it is replaced when another worker of its queues is back")


def warn_of_suspension(run: Run) -> None:
	"""Warn of a suspension that stands now: ours was released, so it is somebody else's and no job starts.

	A rolling restart of another bench suspends for a moment only, so its suspension gets PASSING_SECONDS to
	end.
	"""
	deadline = time.monotonic() + PASSING_SECONDS
	while (token := run.fleet_reader.rq_reader.suspended_by()) and holding_bench(token) != run.bench.bench_id:
		if not holding_bench(token) or time.monotonic() > deadline:
			who, fix = describe_holder(token, run.bench.bench_id)
			run.warn(f"the queues are suspended {who}, so no job starts; that was left as it was ({fix})")
			return
		time.sleep(LOOK_INTERVAL_SECONDS)


def warn_of_orphans(run: Run) -> None:
	"""Warn of each process of the bench that no process manager manages."""
	named = {asked.program.service.pid for asked in run.stragglers}
	for process in find_orphans(run.fleet_reader):
		if not named & set(tree.ancestors(process)):
			run.warn(
				f"process {process.pid} belongs to no service and still runs old code; see `safe-restart doctor`"
			)
	for kind, process in orphaned_services.find_orphaned_services(run.bench, run.manager.services()):
		run.warn(
			f"process {process.pid} ({kind}) was left by a {run.manager.name} that died: it works, but is "
			f"not started again if it ends; `{orphaned_services.fix_for(kind)}` replaces it"
		)
