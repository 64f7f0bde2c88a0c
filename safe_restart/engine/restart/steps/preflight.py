"""The step that checks that a restart can succeed, and remembers how the bench was. Touches nothing."""

import dataclasses

from ...core.errors import Refused
from ...core.text import pluralize
from ...managers.base import RestartMode, Service
from ...processes.classify import REDIS, WEB, WORKERS
from ...rq import connection
from ...web import health as web_health
from ...workers.fleet import Fleet
from ..run import Run
from ..strategies import LEAVE, NOW, check_foreground, check_migrate, check_redis
from .migration import check_migration


def preflight(run: Run, detail: list[str]) -> None:
	"""Check that the restart can succeed, and remember how the bench was. Touches nothing."""
	check_request(run)
	check_redis_answers(run)
	services = run.manager.services()
	check_services(run, services)
	run.remember_processes(services)
	if run.state.redis_is_up:
		fleet = remember_workers(run)
		if stops_redis(run, services):
			check_redis_may_stop(run, fleet)
	else:
		go_without_redis(run, services)
	if WEB in run.options.only and any(service.kind == WEB for service in services):
		remember_sites(run)
	counts = run.report
	detail.append(
		f"{pluralize(counts.workers.before, 'worker')}, {pluralize(counts.jobs.running_at_start, 'job')} "
		f"running, {counts.jobs.queued_at_start} waiting"
	)


def check_request(run: Run) -> None:
	"""Check that strategy, options and bench go together. Raises Refused."""
	check_foreground(run.strategy, run.options)
	check_redis(run.strategy, run.options)
	check_migrate(run.strategy, run.options)
	if run.options.migrate:
		check_migration(run)
	if run.strategy.name == LEAVE and not run.manager.is_seen_through_redis:
		raise Refused(
			f"--here is for containers, and {run.manager.name} runs this bench. Nothing was touched. Type "
			"`safe-restart --only workers`."
		)


def check_redis_answers(run: Run) -> None:
	"""Remember whether Redis is up. Raises Refused where nothing can be done without it."""
	run.state.redis_is_up = connection.is_up(run.fleet_reader.redis)
	if run.manager.is_seen_through_redis and not run.state.redis_is_up:
		raise Refused(
			f"Redis at {run.bench.redis_queue_url} does not answer, and workers in containers are reached "
			"through it alone. Nothing was touched. Start Redis, or correct redis_queue in "
			"sites/common_site_config.json."
		)


def check_services(run: Run, services: list[Service]) -> None:
	"""Check that the process manager can replace what was chosen. Raises Refused."""
	if not any(service.kind in run.options.only for service in services):
		raise Refused(
			f"{run.manager.name} runs no {' or '.join(run.options.only)} service of {run.bench.path}. "
			"Nothing was touched."
		)
	touched = [service for service in services if service.kind in run.options.only]
	if hindrance := run.manager.hindrance(touched, run.options.migrate):
		raise Refused(hindrance)
	if left := run.manager.out_of_reach(run.options.only):
		run.warn(left)


def remember_sites(run: Run) -> None:
	"""Remember which sites answer, as the same must answer afterwards.

	What an earlier helper of this request recorded counts too, since the web may be away now.
	"""
	run.state.sites_before = web_health.health(run.bench)
	run.state.sites_before |= {
		site: web_health.Health(site, 200) for site in run.request.state.get("answered", ())
	}
	answered = [health.site for health in run.state.sites_before.values() if health.is_ok]
	run.journal.remember(run.request.id, answered=answered)


def go_without_redis(run: Run, services: list[Service]) -> None:
	"""Leave the workers out, as a new worker could not start without Redis.

	Raises Refused for every strategy but `now`.
	"""
	down = f"Redis at {run.bench.redis_queue_url} does not answer"
	others = [kind for kind in run.options.only if kind not in (WORKERS, REDIS)]
	starts = [run.manager.start_command(s) for s in services if s.kind == REDIS and not s.is_up]
	if run.strategy.name != NOW or not others:
		raise Refused(
			f"{down}, so the running jobs are not known, and no worker could start. Nothing was touched. "
			f"Start Redis first{f' ({starts[0]})' if starts else ''}; --now restarts the other services "
			"without it."
		)
	run.state.options = dataclasses.replace(run.options, only=tuple(others))
	run.warn(
		f"{down}: running jobs could not be seen and workers were left as they are, since a new one could "
		f"not start. They go on by themselves once Redis is back{f' ({starts[0]})' if starts else ''}; then "
		"run `safe-restart`, which also finds interrupted jobs."
	)


def remember_workers(run: Run) -> Fleet:
	"""Remember the workers and jobs that there are now.

	Warns of workers that cannot be replaced, and of other benches.
	"""
	fleet = run.state.workers_before = run.fleet_reader.read()
	run.state.running_at_start = {worker.job_id: job for worker, job in fleet.running if worker.job_id}
	run.report.workers.before = len(fleet.workers)
	run.report.jobs.running_at_start = len(fleet.running)
	run.report.jobs.queued_at_start = fleet.snapshot.queued
	others = ", ".join(fleet.snapshot.other_benches)
	if others and (run.strategy.holds_lease or run.options.migrate) and run.options.touches_workers:
		run.warn(
			f"{others} uses the same Redis: until the suspension ends, no worker takes a new job there either"
		)
	for worker in fleet.unmanaged if run.options.touches_workers else ():
		run.warn(
			f"worker {worker.name} (pid {worker.pid} on {worker.hostname}) is not managed by "
			f"{run.manager.name}: it is not replaced and goes on with its old code"
		)
	return fleet


def stops_redis(run: Run, services: list[Service]) -> bool:
	"""Whether Redis stops in this restart: because it was named, or because a person stops the whole bench."""
	is_manual = run.strategy.restart_mode == RestartMode.MANUAL
	return REDIS in run.options.only or (is_manual and any(service.kind == REDIS for service in services))


def check_redis_may_stop(run: Run, fleet: Fleet) -> None:
	"""Check that no job is lost or broken while Redis is away. Raises Refused."""
	if not connection.keeps_jobs(run.fleet_reader.redis):
		raise Refused(
			f"Redis at {run.bench.redis_queue_url} keeps nothing on disk (save and appendonly are off): "
			"restarting it would lose every queued job. Nothing was touched. Leave redis out of --only; "
			f"where Redis restarts with all else, type first: redis-cli -u {run.bench.redis_queue_url} "
			"CONFIG SET save '3600 1'"
		)
	if others := fleet.snapshot.other_benches:
		raise Refused(
			f"{', '.join(others)} uses the Redis at {run.bench.redis_queue_url} too, and this restart does "
			"not wait for its jobs: they would break. Nothing was touched. Leave redis out of --only, or "
			"stop those workers first."
		)
