"""The step that checks that everything works again."""

import time

from ...core.text import pluralize
from ...core.waiting import LOOK_INTERVAL_SECONDS
from ...jobs.rescue import remove_stale_registrations
from ...managers.base import START_TIMEOUT_SECONDS
from ...processes.classify import WORKERS
from ...rq import connection
from ...web import health as web_health
from ..run import Run
from .counting import count, warn_of_orphans, warn_of_suspension
from .services import end_orphaned_services
from .workers import stop_orphans


def verify(run: Run, detail: list[str]) -> None:
	"""Check that everything works again, repeatedly for at most START_TIMEOUT_SECONDS, and fill the report
	in."""
	wrong = wait_until_whole(run)
	run.report.problems += [sentence for sentence in wrong if sentence not in run.report.problems]
	count(run)
	if run.options.touches_workers and connection.is_up(run.fleet_reader.redis):
		# of workers that could not say goodbye while Redis was away
		remove_stale_registrations(run.fleet_reader, run.retry_transient(run.fleet_reader.read))
	warn_of_suspension(run)
	warn_of_orphans(run)
	sites = [health.site for health in run.state.sites_before.values() if health.is_ok]
	detail.append(
		f"{pluralize(run.report.workers.after, 'worker')}, {pluralize(len(sites), 'site')} answering"
		if not wrong
		else " ".join(wrong)
	)


def wait_until_whole(run: Run) -> list[str]:
	"""End orphans and wait until everything works, or cannot any more.

	Returns a sentence for each thing that does not.
	"""
	end_orphans(run)
	deadline = time.monotonic() + START_TIMEOUT_SECONDS
	while True:
		# A worker whose job ends meanwhile is brought back too.
		run.retry_transient(run.pending_services.poll)
		wrong = run.retry_transient(lambda: what_is_wrong(run))
		is_whole = not wrong and not run.unasked_orphans()
		if is_whole or run.report.problems or time.monotonic() > deadline:
			return wrong
		if run.unasked_orphans():
			end_orphans(run)
		time.sleep(LOOK_INTERVAL_SECONDS)


def end_orphans(run: Run) -> None:
	"""End what a process manager left that died during the restart and was started again."""
	if WORKERS in run.options.only and connection.is_up(run.fleet_reader.redis):
		end_orphaned_workers(run)
	ended = end_orphaned_services(run)
	for service in run.manager.services():
		if service.kind in ended and service.state == "failed":
			run.manager.start(service)


def end_orphaned_workers(run: Run) -> None:
	"""Ask orphaned workers to stop, unless another helper holds the lock: then that one does it."""
	run.retry_transient(run.fleet_reader.read)
	if run.unasked_orphans() and run.lock.take():
		run.retry_transient(run.stopper.take_suspension)
		stop_orphans(run)
		run.lease.release()
		if run.state.is_watching:
			run.lock.release()


def what_is_wrong(run: Run) -> list[str]:
	"""A sentence for each thing that worked before, or should work now, and does not."""
	services = [s for s in run.manager.services() if s.kind in run.options.only]
	wrong = [
		f"{service.name} is {service.state}."
		for service in services
		if service.state != "running" and service.name not in run.state.intentionally_stopped
	]
	wrong += sites_that_fail(run)
	if run.state.redis_is_up and not connection.is_up(run.fleet_reader.redis):
		wrong.append(f"Redis at {run.bench.redis_queue_url} answered before the restart and does not now.")
	elif WORKERS in run.options.only:
		programs = run.fleet_reader.read().programs
		wrong += [f"{program.name} has no registered worker." for program in programs if not program.workers]
	return wrong


def sites_that_fail(run: Run) -> list[str]:
	"""A sentence for each site that answered before and does not now; a warning for each that did not answer
	before."""
	wrong = []
	for site, before in run.state.sites_before.items():
		now = web_health.ask(run.bench, site)
		if before.is_ok and not now.is_ok:
			wrong.append(f"Site {site} answered 200 before the restart and {now.status or 'nothing'} now.")
		if not before.is_ok and not now.is_ok:
			run.warn(
				f"site {site} answered {before.status or 'nothing'} before the restart and "
				f"{now.status or 'nothing'} after"
			)
	return wrong
