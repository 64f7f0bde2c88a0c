"""Steps that replace scheduler, web and socketio, and Redis where it was named."""

import time

from ...core.errors import RestartError
from ...core.waiting import LOOK_INTERVAL_SECONDS
from ...managers.base import START_TIMEOUT_SECONDS, Service
from ...processes.classify import REDIS, SCHEDULER, SOCKETIO, WEB, WORKERS
from ...rq import connection
from ...services import orphaned_services
from ...web import keeper_setup
from ...web.health import Probe
from ..run import Run

ORDER = (SCHEDULER, WEB, SOCKETIO)


def begin_services(run: Run, detail: list[str]) -> None:
	"""Begin to replace scheduler, web and socketio, and to start workers that were down; the step `replace`
	waits for them."""
	run.pass_point_of_no_return()
	if not run.state.probe:
		begin_probe(run)
	end_orphaned_services(run)
	services = run.manager.services()
	if WEB in run.options.only and (lost := keeper_loss(run, services)):
		run.warn(f"{lost}; type {keeper_setup.FIX}")
	old = [
		one
		for kind in ORDER
		for one in services
		if one.kind == kind and (run.is_old(one) or run.is_down(one))
	]
	down = [one for one in services if one.kind == WORKERS and run.is_down(one)]
	begun = [one for one in (*old, *down) if one.kind in run.options.only]
	for service in begun:
		run.pending_services.expect(service).begin()
	detail.append(", ".join(service.name for service in begun) or "no service to replace")


def keeper_loss(run: Run, services: list[Service]) -> str:
	"""What is lost because the web has no keeper, or lost it; empty where nothing is."""
	return run.retry_transient(lambda: keeper_setup.what_is_lost(run.bench, run.manager, services))


def end_orphaned_services(run: Run) -> set[str]:
	"""End scheduler, web and socketio that a dead process manager left, and return their kinds.

	They would run old code beside the new services, and keep the port from them.
	"""
	services = run.manager.services()
	kinds = [kind for kind in ORDER if kind in run.options.only]
	found = orphaned_services.find_orphaned_services(run.bench, services, kinds)
	for kind, process in found:
		grace = max(service.stop_wait_seconds for service in services if service.kind == kind)
		orphaned_services.end(process, grace)
		run.note(f"process {process.pid} ({kind}), left by a {run.manager.name} that died, was ended")
	return {kind for kind, _ in found}


def begin_probe(run: Run) -> None:
	"""Begin to measure how long the web is away, at a site that answers; where no site does, nothing is
	measured."""
	site = next((health.site for health in run.state.sites_before.values() if health.is_ok), None)
	if site:
		run.state.probe = Probe(run.bench, site)
		run.state.probe.start()
		run.report.web.checked = True


def end_probe(run: Run) -> None:
	"""End the measurement and put its result into the report."""
	if run.state.probe:
		run.state.probe.stop()
		run.report.web.outage_ms = run.state.probe.outage_ms
		run.state.probe = None


def restart_redis(run: Run, detail: list[str]) -> None:
	"""Restart Redis, while no job runs.

	Redis saves on SIGTERM; the lease is a key like any other and comes back with the rest.
	"""
	end_orphaned_redis(run)
	services = [service for service in run.manager.services() if service.kind == REDIS]
	for service in services:
		run.pending_services.expect(service).begin()
	deadline = time.monotonic() + START_TIMEOUT_SECONDS
	names = {service.name for service in services}
	while (away := run.pending_services.poll() & names) or not connection.is_up(run.fleet_reader.redis):
		if time.monotonic() > deadline:
			run.pending_services.give_up(away, START_TIMEOUT_SECONDS)
			raise RestartError(
				f"Redis at {run.bench.redis_queue_url} did not come back. Workers wait for it, and what it "
				"had saved is not lost. See its log, start Redis, then type `safe-restart` again."
			)
		time.sleep(LOOK_INTERVAL_SECONDS)
	detail.append("Redis is new")


def end_orphaned_redis(run: Run) -> None:
	"""End a Redis that a dead process manager left. Raises RestartError where it does not end."""
	for _, process in orphaned_services.find_orphaned_services(run.bench, run.manager.services(), [REDIS]):
		if not orphaned_services.ask_to_end(process, START_TIMEOUT_SECONDS):
			raise RestartError(
				f"Redis (process {process.pid}), left by a {run.manager.name} that died, did not end in "
				f"{START_TIMEOUT_SECONDS} s. It was not killed, so that no job is lost. See its log, then "
				"type `safe-restart` again."
			)
