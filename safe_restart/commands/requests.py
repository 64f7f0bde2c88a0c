"""Draining, and the commands that act on an existing request: resume, recover, retry, cancel."""

import time
from dataclasses import replace
from functools import partial

import click
from redis.exceptions import RedisError

from ..engine.core.bench import Bench
from ..engine.core.errors import JobsStillRunning, Refused, RestartError
from ..engine.core.text import pluralize
from ..engine.processes.classify import WORKERS
from ..engine.restart.options import Options
from ..engine.restart.strategies import DRAIN, LEAVE
from ..engine.rq.snapshot import RqReader
from ..engine.rq.suspension import describe_holder
from ..engine.state.journal import Journal
from .follow import POLL_SECONDS, Interrupts
from .submit import ask_and_follow, submit

RESUME_SECONDS = 10  # how long a drained bench is waited for to resume
CANCEL_SECONDS = 5  # how long a request is waited for to be cancelled
HOST_POLL_SECONDS = 0.1


def run_drain(bench: Bench, options: Options, here: bool, reason: str, as_json: bool) -> int:
	"""Drain the bench and keep it drained, or let the workers of this host leave; returns the exit code."""
	params = {"reason": reason, "as_json": as_json, "wait_workers_verbose": False, "detach": False}
	if not here:
		return submit(bench, DRAIN, options.as_dict(), params)
	exit_code = submit(bench, LEAVE, replace(options, only=(WORKERS,)).as_dict(), params)
	return exit_code or wait_for_host(bench, options.wait_workers_timeout)


def wait_for_host(bench: Bench, timeout_seconds: float) -> int:
	"""Wait until all workers of this host that were asked to stop are gone; returns the exit code.

	Raises JobsStillRunning.
	"""
	from ..engine.workers.identity import is_local

	rq_reader, deadline = RqReader(bench), time.monotonic() + timeout_seconds
	while left := [w for w in rq_reader.snapshot().workers if is_local(w) and w.shutdown_requested]:
		if time.monotonic() > deadline:
			raise JobsStillRunning(
				f"{pluralize(len(left), 'worker')} of this host still in a job after {timeout_seconds:g} s; "
				"each leaves when its job has ended. Give jobs longer: --wait-workers-timeout SECONDS, and "
				"a longer grace in what stops this container."
			)
		time.sleep(HOST_POLL_SECONDS)
	return 0


def run_resume(bench: Bench) -> None:
	"""End every `drain --hold` of this bench.

	Raises RestartError where somebody else suspended the queues.
	"""
	was_drained = end_drain_holds(Journal(bench))
	try:
		snapshot = RqReader(bench).snapshot()
	except (RedisError, OSError) as error:
		raise RestartError(
			f"Redis at {bench.redis_queue_url} does not answer ({error}). Start it first, then type "
			"`safe-restart resume` again."
		) from None
	if snapshot.suspended_by:
		who, fix = describe_holder(snapshot.suspended_by, bench.bench_id)
		left_ms = snapshot.suspended_ttl_ms
		seconds = f"for {left_ms / 1000:.0f} s unless renewed" if left_ms >= 0 else "for ever"
		raise RestartError(
			f"The queues are still suspended {who}, {seconds}. That was not touched, as it is no drain of "
			f"this bench. {fix[0].upper()}{fix[1:]}."
		)
	click.echo("Workers take jobs." if was_drained else "The bench was not drained. Workers take jobs.")


def end_drain_holds(journal: Journal) -> bool:
	"""Ask each request that keeps the bench drained to end, and wait for that; returns whether there was
	one."""
	drains = [r for r in journal.open_requests() if r.strategy == DRAIN and not journal.is_abandoned(r)]
	for request in drains:
		journal.ask_to_cancel(request.id)
	deadline = time.monotonic() + RESUME_SECONDS
	while time.monotonic() < deadline and any(journal.request(one.id).is_open for one in drains):
		time.sleep(POLL_SECONDS)
	return bool(drains)


def run_recover(bench: Bench) -> int:
	"""End the requests of dead helpers; returns the exit code. Raises RestartError."""
	from ..helper import RECOVER, spawn
	from .output import closing_lines

	journal = Journal(bench)
	requests = journal.abandoned()
	if not requests:
		click.echo("There is nothing to recover.")
		return 0
	click.echo(f"Recovering {', '.join(request.id for request in requests)} …")
	exit_code = spawn(bench.path, RECOVER).wait()
	for request in requests:
		for line in closing_lines(journal.request(request.id)):
			click.echo(line)
	if exit_code:
		raise RestartError(
			"The requests could not be recovered. sites/.safe-restart/helper.log has the reason. Type "
			"`safe-restart doctor`, then `safe-restart recover` again."
		)
	return 0


def run_again(bench: Bench, request_id: str, resume_at: str, as_json: bool) -> int:
	"""Go on with a request whose migration failed, from the step `resume_at`; returns the exit code.

	Raises RestartError.
	"""
	journal = Journal(bench)
	request = journal.request(request_id)
	if request.is_open or not request.state.get("prior"):
		raise Refused(
			f"Request {request_id} has no failed migration to go on with. Nothing was touched. Type "
			"`safe-restart history`."
		)
	params = {"as_json": as_json, "wait_workers_verbose": False, "detach": False}
	with Interrupts() as interrupts:
		journal.remember(request_id, resume_at=resume_at)
		write = partial(journal.ask_again, request_id)
		return ask_and_follow(bench, journal, request_id, write, params, interrupts)


def run_start_anyway(bench: Bench) -> int:
	"""Start everything and end maintenance after a failed migration; returns the exit code.

	Raises RestartError.
	"""
	failed = [r for r in Journal(bench).requests() if not r.is_open and r.state.get("prior")]
	if not failed:
		raise Refused(
			"No failed migration has left services stopped here. Nothing was touched. Type `safe-restart "
			"status` to see the bench."
		)
	return run_again(bench, failed[0].id, "start", False)


def run_cancel(bench: Bench, request_id: str) -> int:
	"""Ask for the cancellation of a request and wait until it ends; returns the exit code of `cancel`
	itself."""
	from ..engine.views import board

	board.cancel(bench, request_id)
	journal = Journal(bench)
	deadline = time.monotonic() + CANCEL_SECONDS
	while (request := journal.request(request_id)).is_open and time.monotonic() < deadline:
		time.sleep(POLL_SECONDS)
	if request.is_open:
		click.echo(
			f"Request {request.id} has begun to replace services, so it is finished. Type `safe-restart "
			"status` to see it."
		)
		return 1
	click.echo(request.outcome)
	return 0
