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
from .workers import retire_orphans

PASSING_SECONDS = 2  # a rolling restart holds the queues while it tells workers to go, and no longer


def verify(run: Run, detail: list[str]) -> None:
	"""Does everything really work again? Looks until it does, at most START_TIMEOUT_SECONDS."""
	sweep(run)
	deadline = time.monotonic() + START_TIMEOUT_SECONDS
	while True:
		run.patiently(run.returning.look)  # a worker whose job ends meanwhile is brought back too
		wrong = run.patiently(lambda: what_is_wrong(run))
		is_whole = not wrong and not run.untold_orphans()
		if is_whole or run.account.problems or time.monotonic() > deadline:
			break
		if run.untold_orphans():
			sweep(run)
		time.sleep(LOOK_INTERVAL_SECONDS)
	run.account.problems += [sentence for sentence in wrong if sentence not in run.account.problems]
	count(run)
	if run.options.touches_workers and connection.is_up(run.watch.observer.redis):
		remove_stale_registrations(
			run.watch, run.patiently(run.watch.see)
		)  # of who could not say goodbye while Redis was away
	name_suspension(run)
	name_orphans(run)
	sites = [health.site for health in run.sites_before.values() if health.is_ok]
	detail.append(
		f"{pluralize(run.account.workers.after, 'worker')}, {pluralize(len(sites), 'site')} answering"
		if not wrong
		else "; ".join(wrong)
	)


def sweep(run: Run) -> None:
	"""A manager that died during the restart was started again beside what it had run: end that too."""
	if WORKERS in run.options.only and connection.is_up(run.watch.observer.redis):
		sweep_workers(run)
	ended = end_orphaned_services(run)
	for service in run.manager.services():
		if service.kind in ended and service.state == "failed":
			run.manager.start(service)


def sweep_workers(run: Run) -> None:
	run.patiently(run.watch.see)
	if run.untold_orphans() and run.lock.take():
		run.patiently(run.retirement.take_flag)
		retire_orphans(run)
		run.lease.release()
		if run.is_watching:
			run.lock.release()


def name_suspension(run: Run) -> None:
	"""Ours was given back by now, so one that stands is somebody else's: no job starts, however well all went. That of a
	rolling restart of another bench is over at once."""
	deadline = time.monotonic() + PASSING_SECONDS
	while (token := run.watch.observer.suspended_by()) and holding_bench(token) != run.bench.bench_id:
		if not holding_bench(token) or time.monotonic() > deadline:
			who, mend = describe_holder(token, run.bench.bench_id)
			run.warn(f"the queues are suspended {who}, so no job starts; that was left as it was ({mend})")
			return
		time.sleep(LOOK_INTERVAL_SECONDS)


def name_orphans(run: Run) -> None:
	named = {told.unit.service.pid for told in run.stragglers}
	for process in find_orphans(run.watch):
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
		if service.state != "running" and service.name not in run.left_down
	]
	for site, before in run.sites_before.items():
		now = web_health.ask(run.bench, site)
		if before.is_ok and not now.is_ok:
			wrong.append(f"Site {site} answered 200 before the restart and {now.status or 'nothing'} now.")
		if not before.is_ok and not now.is_ok:
			run.warn(
				f"site {site} answered {before.status or 'nothing'} before the restart and {now.status or 'nothing'} after"
			)
	if run.redis_is_up and not connection.is_up(run.watch.observer.redis):
		wrong.append(f"Redis at {run.bench.redis_queue_url} answered before the restart and does not now.")
	elif WORKERS in run.options.only:
		units = run.watch.see().units
		wrong += [f"{unit.name} has no registered worker." for unit in units if not unit.workers]
	return wrong


def count(run: Run) -> None:
	"""Fill the account in from what can be seen now."""
	jobs, workers = run.account.jobs, run.account.workers
	jobs.interrupted = run.rescued.interrupted
	jobs.requeued, jobs.held = len(run.rescued.requeued), len(run.rescued.held)
	jobs.lost_and_found = len(run.rescued.lost_and_found)
	if not connection.is_up(run.watch.observer.redis):
		return
	fleet = run.watch.see()
	still = set(run.running_at_start) & {worker.job_id for worker in fleet.workers}
	settled = {*run.rescued.requeued, *run.rescued.held, *run.rescued.failed, *run.rescued.still_running}
	jobs.finished_during = len(set(run.running_at_start) - still - settled)
	run.account.affected = affected(run, still)
	workers.after = len(fleet.workers)
	if WORKERS in run.options.only:
		old = [w for unit in fleet.units if run.is_old(unit.service) for w in unit.workers] + [*fleet.strays]
		workers.still_old = len(old)
		workers.replaced = max(0, workers.before - len(old))


def affected(run: Run, still: set[str]) -> list[dict]:
	"""What became of each job that ran when the restart began, or was found; `still` are those that run on."""
	rescued = run.rescued
	# A job that was queued again may run again by now, so what was decided about it comes last.
	fates = dict.fromkeys([*still, *rescued.still_running], "running on old code")
	fates |= dict.fromkeys(rescued.requeued, "queued again")
	fates |= dict.fromkeys(rescued.lost_and_found, "found and queued again")
	fates |= dict.fromkeys(rescued.held, "held") | dict.fromkeys(rescued.failed, "failed")
	told = []
	for now in run.watch.observer.jobs(dict.fromkeys([*run.running_at_start, *fates])):
		known = run.running_at_start.get(now.id) or now
		# A job whose result is kept for no time is gone when it has ended (RQ's result_ttl=0).
		fate = fates.get(now.id) or {"finished": "finished", "failed": "failed"}.get(now.status, "ended")
		told.append({"job": now.id, "method": known.method, "site": known.site, "fate": fate})
	return told


def name_stragglers(run: Run) -> None:
	"""Say which workers are still old, and why."""
	for told in run.stragglers:
		name = f"{told.unit.name} (pid {told.unit.service.pid})"
		if told.how == WAITING_FOR_PEER and told.unit.is_orphan:
			run.warn(
				f"{name} was left by a {run.manager.name} that died and may run old code; `safe-restart` retires it"
			)
		elif told.how == WAITING_FOR_PEER and run.account.problems:
			run.warn(
				f"{name} was left with its old code, so that its queues are served while the new workers fail"
			)
		elif told.how == WAITING_FOR_PEER:
			run.warn(f"{name} still runs old code; it is replaced when another worker of its queues is back")
		else:
			run.warn(f"{name} still runs a job on old code; it is replaced when the job has ended")
