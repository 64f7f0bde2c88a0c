"""Replacing what is not a worker: scheduler, web, socketio, and Redis where it was named."""

import time

from ...core.errors import RestartError
from ...core.waiting import LOOK_INTERVAL_SECONDS
from ...managers.base import START_TIMEOUT_SECONDS, Service
from ...processes.classify import REDIS, SCHEDULER, SOCKETIO, WEB, WORKERS
from ...rq import connection
from ...services import orphaned_services
from ...web import health as web_health
from ...web import keeper_setup
from ..run import Run

ORDER = (SCHEDULER, WEB, SOCKETIO)


def begin_services(run: Run) -> None:
	"""Replace scheduler, web and socketio, and start workers that were down: each is only begun here, and comes back."""
	if run.services_began:
		return
	run.services_began = True
	if not run.probe:
		begin_probe(run)
	end_orphaned_services(run)
	services = run.manager.services()
	if WEB in run.options.only and (lost := keeper_loss(run, services)):
		run.warn(f"{lost}; type {keeper_setup.FIX}")
	for kind in ORDER:
		for service in services:
			if service.kind == kind in run.options.only and (run.is_old(service) or run.is_down(service)):
				run.returning.expect(service).begin()
	for service in services:
		if service.kind == WORKERS in run.options.only and run.is_down(service):
			run.returning.expect(service).begin()


def keeper_loss(run: Run, services: list[Service]) -> str:
	return run.patiently(lambda: keeper_setup.what_is_lost(run.bench, run.manager.manager, services))


def end_orphaned_services(run: Run) -> set[str]:
	"""End scheduler, web and socketio that a manager which died has left: they run old code beside their successors, and
	keep the port from them. Returns the kinds."""
	services = run.manager.services()
	kinds = [kind for kind in ORDER if kind in run.options.only]
	found = orphaned_services.find_orphaned_services(run.bench, services, kinds)
	for kind, process in found:
		grace = max(service.stop_wait_seconds for service in services if service.kind == kind)
		orphaned_services.end(process, grace)
		run.note(f"process {process.pid} ({kind}), left by a {run.manager.name} that died, was ended")
	return {kind for kind, _ in found}


def begin_probe(run: Run) -> None:
	"""Measure the web while it is replaced, at a site that answers; where none does, nothing can be said."""
	site = next((health.site for health in run.sites_before.values() if health.is_ok), None)
	if site:
		run.probe = web_health.Probe(run.bench, site)
		run.probe.start()
		run.account.web.checked = True


def end_probe(run: Run) -> None:
	if run.probe:
		run.probe.stop()
		run.account.web.outage_ms = run.probe.outage_ms
		run.probe = None


def restart_redis(run: Run) -> None:
	"""Nothing runs now. Redis saves on SIGTERM; the lease is a key like any other and comes back with the rest."""
	for _, process in orphaned_services.find_orphaned_services(run.bench, run.manager.services(), [REDIS]):
		if not orphaned_services.ask_to_end(process, START_TIMEOUT_SECONDS):
			raise RestartError(
				f"Redis (process {process.pid}), left by a {run.manager.name} that died, did not end in "
				f"{START_TIMEOUT_SECONDS} s. It was not killed, so that it loses nothing; see its log, then try again."
			)
	services = [service for service in run.manager.services() if service.kind == REDIS]
	for service in services:
		run.returning.expect(service).begin()
	deadline = time.monotonic() + START_TIMEOUT_SECONDS
	names = {service.name for service in services}
	while (away := run.returning.look() & names) or not connection.is_up(run.watch.observer.redis):
		if time.monotonic() > deadline:
			run.returning.give_up(away, START_TIMEOUT_SECONDS)
			raise RestartError(
				f"Redis at {run.bench.redis_queue_url} did not come back. Workers wait for it; nothing is lost that it "
				"had saved. See its log, start it, then run `safe-restart` again."
			)
		time.sleep(LOOK_INTERVAL_SECONDS)
