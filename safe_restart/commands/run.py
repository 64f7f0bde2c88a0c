"""Asking for a restart and following it: writes the request, starts the helper, and only reads from then on."""

import getpass
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import click

from ..engine import journal as journals
from ..engine.bench import Bench
from ..engine.errors import JobsStillRunning, Refused, RestartError, Unreadable, Unwritable
from ..engine.journal import Journal, Request
from ..engine.strategies import STRATEGIES, Options, check_foreground, choose, fit
from ..helper import hand_over

POLL_SECONDS = 0.02
EXIT_LEFT_RUNNING = 130  # what a shell says of a command that Ctrl-C ended


class Interrupts:
	"""Counts Ctrl-C from before a request is written down, so that none falls between the helper's start and its
	following. A context manager.

	is_over: the restart has ended, and all that is left to tell is the exit code, which a Ctrl-C would change
	"""

	def __init__(self):
		self.count = 0
		self.is_over = False

	def __enter__(self) -> "Interrupts":
		self.before = signal.signal(signal.SIGINT, self.note)
		return self

	def __exit__(self, *_) -> None:
		signal.signal(signal.SIGINT, signal.SIG_IGN if self.is_over else self.before)

	def note(self, number, frame) -> None:
		self.count += 1


def run_restart(bench: Bench, strategy: str, options: dict, params: dict) -> int:
	"""The restart itself; returns the exit code."""
	if params["dry_run"]:
		show_plan(bench, strategy, options, params["as_json"])
		return 0
	if STRATEGIES[strategy].interrupts and not params["yes"] and sys.stdin.isatty():
		show_plan(bench, strategy, options, False)
		click.confirm("Go on?", abort=True, err=True)
	return submit(bench, strategy, options, params)


def submit(bench: Bench, strategy: str, options: dict, params: dict) -> int:
	"""Write the request down, hand it to a helper, and follow that to its end."""
	journal, id = Journal(bench), journals.new_id()
	with Interrupts() as interrupts:
		write = partial(journal.add, strategy, options, requester(), params["reason"], id)
		return ask_and_follow(bench, journal, id, write, params, interrupts)


def ask_and_follow(
	bench: Bench,
	journal: Journal,
	id: str,
	write: Callable[[], object],
	params: dict,
	interrupts: Interrupts,
) -> int:
	"""Hand a request, which `write` writes down, to a helper, and follow it to its end; returns the exit code."""
	try:
		helper = hand_over(bench.path, id, write)
	except OSError as error:
		raise RestartError(f"The helper could not be started ({error}). Nothing was touched.") from None
	request = journal.request(id)
	if params["detach"]:
		tell(
			f"Request {request.id} is on its way; `safe-restart show {request.id}` tells how it goes.", params
		)
		return 0
	request = follow(bench, journal, request, helper, params, interrupts)
	if params["as_json"]:
		from ..engine.report import as_json
		from . import print_json

		print_json(as_json(request, journal.steps(request.id)))
	return request.exit_code if request.exit_code is not None else 1


def follow(
	bench: Bench, journal: Journal, request: Request, helper, params: dict, interrupts: Interrupts
) -> Request:
	"""Show what the journal says until the request ended, or only stragglers are left; Ctrl-C asks to cancel."""
	view = make_view(bench, journal, request, params)
	is_cancelling = is_waiting = False
	with view:
		while True:
			was_dead = helper.poll() is not None
			try:
				request = journal.request(request.id)
				view.update(request)
			except Unreadable as error:
				was_dead = False  # nothing can be concluded
				if not is_waiting:
					view.say(f"{str(error).partition(':')[0]}; waiting until it can.")
				is_waiting = True
			if request.status not in (journals.QUEUED, journals.RUNNING):
				break
			if was_dead and (word := last_word(helper)):
				request = replace(request, **word)
				break
			if was_dead and request.status == journals.QUEUED:
				sentence = "The helper died before it began. Nothing was touched. Its log is sites/.safe-restart/helper.log."
				journal.report(request.id, journals.FAILED, 1, sentence, None)
				raise RestartError(sentence)
			if was_dead and journal.is_abandoned(request):
				raise RestartError(
					f"The helper of request {request.id} died, and its guard too. Workers take jobs again within 30 s "
					"and services that left come back by themselves. Type `safe-restart recover` to end the request; "
					"sites/.safe-restart/helper.log may say why."
				)
			if interrupts.count > 1:
				view.say(f"Left running. `safe-restart show {request.id}` tells how it goes.")
				sys.exit(EXIT_LEFT_RUNNING)
			if interrupts.count and not is_cancelling:
				is_cancelling = True
				try:
					journal.ask_to_cancel(request.id)
				except Unwritable:
					helper.terminate()  # which asks for the same
				view.say(
					"Asked to cancel; what is being replaced is finished first. Ctrl-C again leaves it running."
				)
			time.sleep(POLL_SECONDS)
		view.end(request)
	interrupts.is_over = True
	return request


def wait_for_host(bench: Bench, timeout_seconds: float) -> int:
	"""Wait until the workers that are to leave this host have left; returns the exit code."""
	from ..engine import processes
	from ..engine.queues import Observer

	observer, deadline = Observer(bench), time.monotonic() + timeout_seconds
	while left := [w for w in observer.look().workers if processes.is_local(w) and w.shutdown_requested]:
		if time.monotonic() > deadline:
			raise JobsStillRunning(
				f"{len(left)} workers of this host still run a job after {timeout_seconds:g} s; each leaves when its job has "
				"ended. Give them longer: --wait-workers-timeout SECONDS, and as much to whoever stops this container."
			)
		time.sleep(POLL_SECONDS * 5)
	return 0


def last_word(helper) -> dict | None:
	"""How the request ended, by a helper that could not write it into the journal."""
	os.set_blocking(helper.stdout.fileno(), False)
	said = helper.stdout.read()
	return json.loads(said.splitlines()[-1]) if said else None


def make_view(bench: Bench, journal: Journal, request: Request, params: dict):
	if sys.stdout.isatty() and not params["as_json"]:
		from .live import LiveView

		return LiveView(bench, journal, request, params["wait_workers_verbose"])
	from .plain import PlainView

	return PlainView(bench, journal, request, params["wait_workers_verbose"], to_stderr=params["as_json"])


def requester() -> str:
	"""Who asks; through sudo the person behind it."""
	try:
		return os.environ.get("SUDO_USER") or getpass.getuser()
	except (KeyError, OSError):
		return str(os.getuid())


def tell(text: str, params: dict) -> None:
	click.echo(text, err=params["as_json"])


def show_plan(bench: Bench, strategy: str, options: dict, as_json: bool) -> None:
	"""Print what this restart would do; touches nothing."""
	from dataclasses import asdict

	from redis.exceptions import RedisError

	from ..engine import apps, doctor, managers, policy, preview, queues, setup_web
	from ..engine.fleet import Watch
	from ..engine.managers import WEB
	from . import print_json, render

	choice, manager = Options.from_dict(options), managers.detect(bench)
	chosen = fit(choose(strategy), manager.way)
	check_foreground(chosen, choice)
	try:
		fleet = Watch(bench, manager, queues.Observer(bench)).see()
		answer = preview.plan(fleet, chosen, choice, policy.of_bench(bench))
	except (RedisError, OSError):
		answer = preview.plan_without_redis(choice)
	objections = apps.objections(bench)
	services = manager.services()
	warnings = [f"{one.text}; {one.mend}" for one in doctor.drawbacks(bench, manager, services)]
	if WEB in choice.only and (lost := setup_web.what_is_lost(bench, manager, services)):
		warnings.append(f"{lost}. Type {setup_web.MEND}")
	if as_json:
		blockers = [asdict(objection) for objection in objections]
		print_json({**answer.as_dict(), "blockers": blockers, "warnings": warnings})
	else:
		render.plan(answer, choice, objections)
		for warning in warnings:
			click.echo(f"Warning: {warning}.")


def run_resume(bench: Bench) -> None:
	"""End the hold that a helper keeps; says who else suspends where it is not ours to lift."""
	from redis.exceptions import RedisError

	from ..engine import queues
	from ..engine.strategies import DRAIN
	from ..engine.suspension import describe

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
		look = queues.Observer(bench).look()
	except (RedisError, OSError) as error:
		raise RestartError(
			f"Redis at {bench.redis_queue_url} does not answer ({error}); start it first."
		) from None
	if look.suspended_by:
		who, mend = describe(look.suspended_by, bench.bench_id)
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
	from .render import closing_lines

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
	from ..engine import board

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
