"""Commands on requests that exist: resume, recover, retry, cancel."""

import time
from functools import partial

import click

from ..engine.core.bench import Bench
from ..engine.core.errors import JobsStillRunning, Refused, RestartError
from ..engine.state.journal import Journal
from .submit import POLL_SECONDS, Interrupts, ask_and_follow


def wait_for_host(bench: Bench, timeout_seconds: float) -> int:
	"""Wait until the workers that are to leave this host have left; returns the exit code."""
	from ..engine.rq.snapshot import RqReader
	from ..engine.workers import identity

	observer, deadline = RqReader(bench), time.monotonic() + timeout_seconds
	while left := [w for w in observer.look().workers if identity.is_local(w) and w.shutdown_requested]:
		if time.monotonic() > deadline:
			raise JobsStillRunning(
				f"{len(left)} workers of this host still run a job after {timeout_seconds:g} s; each leaves when its job has "
				"ended. Give them longer: --wait-workers-timeout SECONDS, and as much to whoever stops this container."
			)
		time.sleep(POLL_SECONDS * 5)
	return 0


def run_resume(bench: Bench) -> None:
	"""End the hold that a helper keeps; says who else suspends where it is not ours to lift."""
	from redis.exceptions import RedisError

	from ..engine.restart.strategies import DRAIN
	from ..engine.rq import snapshot
	from ..engine.rq.suspension import describe_holder

	journal = Journal(bench)
	holds = [r for r in journal.open_requests() if r.strategy == DRAIN and not journal.is_abandoned(r)]
	for request in holds:
		journal.ask_to_cancel(request.id)
	deadline = time.monotonic() + 10
	while (
		holds
		and any(journal.request(request.id).is_open for request in holds)
		and time.monotonic() < deadline
	):
		time.sleep(POLL_SECONDS)
	try:
		look = snapshot.RqReader(bench).look()
	except (RedisError, OSError) as error:
		raise RestartError(
			f"Redis at {bench.redis_queue_url} does not answer ({error}); start it first."
		) from None
	if look.suspended_by:
		who, mend = describe_holder(look.suspended_by, bench.bench_id)
		seconds = (
			f"for {look.suspended_ttl_ms / 1000:.0f} s unless renewed"
			if look.suspended_ttl_ms >= 0
			else "for ever"
		)
		raise RestartError(
			f"The queues are still suspended {who}, {seconds}. That was not touched, as it is no drain of this bench. "
			f"{mend[0].upper()}{mend[1:]}."
		)
	click.echo("Workers take jobs." if holds else "Nothing was held. Workers take jobs.")


def run_recover(bench: Bench) -> int:
	"""End by hand what a dead helper left; returns the exit code."""
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
		raise RestartError("It could not be recovered; sites/.safe-restart/helper.log has the reason.")
	return 0


def run_again(bench: Bench, request_id: str, resume_at: str, as_json: bool) -> int:
	"""Go on with a request whose migration failed, at step `resume_at`; returns the exit code."""
	journal = Journal(bench)
	request = journal.request(request_id)
	if request.is_open or not request.state.get("prior"):
		raise Refused(
			f"Request {request_id} is not one whose migration failed; there is nothing to go on with."
		)
	params = {"as_json": as_json, "wait_workers_verbose": False, "detach": False}
	with Interrupts() as interrupts:
		journal.remember(request_id, resume_at=resume_at)
		write = partial(journal.ask_again, request_id)
		return ask_and_follow(bench, journal, request_id, write, params, interrupts)


def run_start_anyway(bench: Bench) -> int:
	"""Start everything and end maintenance after a migration that failed; returns the exit code."""
	failed = [r for r in Journal(bench).requests() if not r.is_open and r.state.get("prior")]
	if not failed:
		raise Refused("No migration has failed here and left things stopped.")
	return run_again(bench, failed[0].id, "start", False)


def run_cancel(bench: Bench, request_id: str) -> int:
	"""Ask for cancellation and wait for the answer; returns the exit code of `cancel` itself."""
	from ..engine.views import board

	board.cancel(bench, request_id)
	journal = Journal(bench)
	deadline = time.monotonic() + 5
	while (request := journal.request(request_id)).is_open and time.monotonic() < deadline:
		time.sleep(POLL_SECONDS)
	if request.is_open:
		click.echo(
			f"Request {request.id} has begun to replace services, so it finishes. See `safe-restart status`."
		)
		return 1
	click.echo(request.outcome)
	return 0
