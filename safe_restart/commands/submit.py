"""Asks for a restart: writes the request, starts the helper that carries it out, and follows it."""

import getpass
import os
import sys
from collections.abc import Callable
from functools import partial

import click

from ..engine.core.bench import Bench
from ..engine.core.errors import RestartError
from ..engine.restart.strategies import STRATEGIES
from ..engine.state import records
from ..engine.state.journal import Journal
from ..helper import start_helper
from .follow import Follower, Interrupts


def run_restart(bench: Bench, strategy: str, options: dict, params: dict) -> int:
	"""Restart, after a confirmation where jobs are interrupted, or show the plan; returns the exit code."""
	asks = STRATEGIES[strategy].interrupts and not params["yes"] and sys.stdin.isatty()
	if params["dry_run"] or asks:
		from .plan import show_plan  # takes a tenth of a second, and few need it

		show_plan(bench, strategy, options, params["as_json"] and params["dry_run"])
		if params["dry_run"]:
			return 0
		click.confirm("Go on?", abort=True, err=True)
	return submit(bench, strategy, options, params)


def submit(bench: Bench, strategy: str, options: dict, params: dict) -> int:
	"""Start a helper for a new request and follow the request to its end; returns the exit code."""
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
	"""Start a helper for the request that `write` writes, and follow the request to its end; returns the exit
	code."""
	try:
		helper = start_helper(bench.path, id, write)
	except OSError as error:
		raise RestartError(f"The helper could not be started ({error}). Nothing was touched.") from None
	request = journal.request(id)
	if params["detach"]:
		sentence = (
			f"Request {request.id} was submitted. Type `safe-restart show {request.id}` to see how it goes."
		)
		click.echo(sentence, err=params["as_json"])
		return 0
	request = Follower(bench, journal, helper, params, interrupts).follow(request)
	if params["as_json"]:
		from ..engine.state.report import as_json
		from .context import print_json

		print_json(as_json(request, journal.steps(request.id)))
	return request.exit_code if request.exit_code is not None else 1


def requester() -> str:
	"""The name of the user who asks; behind sudo the person who typed it."""
	try:
		return os.environ.get("SUDO_USER") or getpass.getuser()
	except (KeyError, OSError):
		return str(os.getuid())
