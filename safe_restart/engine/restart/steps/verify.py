"""Does everything really work again? And what is true about jobs and workers now?"""

import time

from ...core.text import pluralize
from ...core.waiting import LOOK_INTERVAL_SECONDS
from ...jobs.rescue import remove_stale_registrations
from ...managers.base import START_TIMEOUT_SECONDS
from ...processes import tree
from ...processes.classify import WORKERS
from ...rq import connection
from ...rq.suspension import describe_holder, holding_bench
from ...services import orphaned_services
from ...web import health as web_health
from ...workers.orphans import find_orphans
from ..run import WAITING_FOR_PEER, Run
from .services import end_orphaned_services
from .workers import stop_orphans

PASSING_SECONDS = 2  # a rolling restart holds the queues while it tells workers to go, and no longer


def verify(run: Run, detail: list[str]) -> None:
	"""Does everything really work again? Looks until it does, at most START_TIMEOUT_SECONDS."""
	sweep(run)
	deadline = time.monotonic() + START_TIMEOUT_SECONDS
	while True:
		run.retry_transient(
			run.pending_services.poll
		)  # a worker whose job ends meanwhile is brought back too
		wrong = run.retry_transient(lambda: what_is_wrong(run))
		is_whole = not wrong and not run.unasked_orphans()
		if is_whole or run.report.problems or time.monotonic() > deadline:
			break
		if run.unasked_orphans():
			sweep(run)
		time.sleep(LOOK_INTERVAL_SECONDS)
	run.report.problems += [sentence for sentence in wrong if sentence not in run.report.problems]
	count(run)
	if run.options.touches_workers and connection.is_up(run.fleet_reader.redis):
		remove_stale_registrations(
			run.fleet_reader, run.retry_transient(run.fleet_reader.read)
		)  # of who could not say goodbye while Redis was away
	name_suspension(run)
	name_orphans(run)
	sites = [health.site for health in run.state.sites_before.values() if health.is_ok]
	detail.append(
		f"{pluralize(run.report.workers.after, 'worker')}, {pluralize(len(sites), 'site')} answering"
		if not wrong
		else "; ".join(wrong)
	)


def sweep(run: Run) -> None:
	"""A manager that died during the restart was started again beside what it had run: end that too."""
	if WORKERS in run.options.only and connection.is_up(run.fleet_reader.redis):
		sweep_workers(run)
	ended = end_orphaned_services(run)
	for service in run.manager.services():
		if service.kind in ended and service.state == "failed":
			run.manager.start(service)


def sweep_workers(run: Run) -> None:
	run.retry_transient(run.fleet_reader.read)
	if run.unasked_orphans() and run.lock.take():
		run.retry_transient(run.stopper.take_suspension)
		stop_orphans(run)
		run.lease.release()
		if run.state.is_watching:
			run.lock.release()


def name_suspension(run: Run) -> None:
	"""Ours was given back by now, so one that stands is somebody else's: no job starts, however well all went. That of a
	rolling restart of another bench is over at once."""
	deadline = time.monotonic() + PASSING_SECONDS
	while (token := run.fleet_reader.rq_reader.suspended_by()) and holding_bench(token) != run.bench.bench_id:
		if not holding_bench(token) or time.monotonic() > deadline:
			who, fix = describe_holder(token, run.bench.bench_id)
			run.warn(f"the queues are suspended {who}, so no job starts; that was left as it was ({fix})")
			return
		time.sleep(LOOK_INTERVAL_SECONDS)


def name_orphans(run: Run) -> None:
	named = {asked.program.service.pid for asked in run.stragglers}
	for process in find_orphans(run.fleet_reader):
		if not named & set(tree.ancestors(process)):
			run.warn(
				f"process {process.pid} belongs to no service and still runs old code; see `safe-restart doctor`"
			)
	for kind, process in orphaned_services.find_orphaned_services(run.bench, run.manager.services()):
		run.warn(
			f"process {process.pid} ({kind}) was left by a {run.manager.name} that died: it works, and nobody would "
			f"bring it back; `{orphaned_services.fix_for(kind)}` replaces it"
		)


def what_is_wrong(run: Run) -> list[str]:
	"""A sentence for each thing that worked before, or should work now, and does not."""
	services = [s for s in run.manager.services() if s.kind in run.options.only]
	wrong = [
		f"{service.name} is {service.state}."
		for service in services
		if service.state != "running" and service.name not in run.state.intentionally_stopped
	]
	for site, before in run.state.sites_before.items():
		now = web_health.ask(run.bench, site)
		if before.is_ok and not now.is_ok:
			wrong.append(f"Site {site} answered 200 before the restart and {now.status or 'nothing'} now.")
		if not before.is_ok and not now.is_ok:
			run.warn(
				f"site {site} answered {before.status or 'nothing'} before the restart and {now.status or 'nothing'} after"
			)
	if run.state.redis_is_up and not connection.is_up(run.fleet_reader.redis):
		wrong.append(f"Redis at {run.bench.redis_queue_url} answered before the restart and does not now.")
	elif WORKERS in run.options.only:
		programs = run.fleet_reader.read().programs
		wrong += [f"{program.name} has no registered worker." for program in programs if not program.workers]
	return wrong


def count(run: Run) -> None:
	"""Fill the report in from what can be seen now."""
	jobs, workers, rescued = run.report.jobs, run.report.workers, run.state.rescued
	jobs.interrupted = rescued.interrupted
	jobs.requeued, jobs.delayed, jobs.held = map(len, (rescued.requeued, rescued.delayed, rescued.held))
	jobs.lost_and_found = len(rescued.lost_and_found)
	if not connection.is_up(run.fleet_reader.redis):
		return
	fleet = run.fleet_reader.read()
	still = set(run.state.running_at_start) & {worker.job_id for worker in fleet.workers}
	settled = {*rescued.all_found, *rescued.still_running}
	jobs.finished_during = len(set(run.state.running_at_start) - still - settled)
	run.report.affected = affected(run, still)
	workers.after = len(fleet.workers)
	if WORKERS in run.options.only:
		old = [w for program in fleet.programs if run.is_old(program.service) for w in program.workers] + [
			*fleet.unmanaged
		]
		workers.still_old = len(old)
		workers.replaced = max(0, workers.before - len(old))


def affected(run: Run, still: set[str]) -> list[dict]:
	"""What became of each job that ran when the restart began, or was found; `still` are those that run on."""
	rescued = run.state.rescued
	# A job that was queued again may run again by now, so what was decided about it comes last.
	fates = dict.fromkeys([*still, *rescued.still_running], "running on old code")
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


def name_stragglers(run: Run) -> None:
	"""Say which workers are still old, and why."""
	for asked in run.stragglers:
		name = f"{asked.program.name} (pid {asked.program.service.pid})"
		if asked.how == WAITING_FOR_PEER and asked.program.is_orphan:
			run.warn(
				f"{name} was left by a {run.manager.name} that died and may run old code; `safe-restart` retires it"
			)
		elif asked.how == WAITING_FOR_PEER and run.report.problems:
			run.warn(
				f"{name} was left with its old code, so that its queues are served while the new workers fail"
			)
		elif asked.how == WAITING_FOR_PEER:
			run.warn(f"{name} still runs old code; it is replaced when another worker of its queues is back")
		else:
			run.warn(f"{name} still runs a job on old code; it is replaced when the job has ended")
