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

from ..engine.core.bench import Bench
from ..engine.core.errors import RestartError, Unreadable, Unwritable
from ..engine.restart.strategies import STRATEGIES
from ..engine.state import records
from ..engine.state.journal import Journal
from ..engine.state.records import Request
from ..helper import start_helper
from .plan import show_plan

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
	journal, id = Journal(bench), records.new_id()
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
		helper = start_helper(bench.path, id, write)
	except OSError as error:
		raise RestartError(f"The helper could not be started ({error}). Nothing was touched.") from None
	request = journal.request(id)
	if params["detach"]:
		say(
			f"Request {request.id} is on its way; `safe-restart show {request.id}` tells how it goes.", params
		)
		return 0
	request = follow(bench, journal, request, helper, params, interrupts)
	if params["as_json"]:
		from ..engine.state.report import as_json
		from .context import print_json

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
			if request.status not in (records.QUEUED, records.RUNNING):
				break
			if was_dead and (word := last_word(helper)):
				request = replace(request, **word)
				break
			if was_dead and request.status == records.QUEUED:
				sentence = "The helper died before it began. Nothing was touched. Its log is sites/.safe-restart/helper.log."
				journal.report(request.id, records.FAILED, 1, sentence, None)
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


def last_word(helper) -> dict | None:
	"""How the request ended, by a helper that could not write it into the journal."""
	os.set_blocking(helper.stdout.fileno(), False)
	said = helper.stdout.read()
	return json.loads(said.splitlines()[-1]) if said else None


def make_view(bench: Bench, journal: Journal, request: Request, params: dict):
	if sys.stdout.isatty() and not params["as_json"]:
		from .view_live import LiveView

		return LiveView(bench, journal, request, params["wait_workers_verbose"])
	from .view_plain import PlainView

	return PlainView(bench, journal, request, params["wait_workers_verbose"], to_stderr=params["as_json"])


def requester() -> str:
	"""Who asks; through sudo the person behind it."""
	try:
		return os.environ.get("SUDO_USER") or getpass.getuser()
	except (KeyError, OSError):
		return str(os.getuid())


def say(text: str, params: dict) -> None:
	click.echo(text, err=params["as_json"])
