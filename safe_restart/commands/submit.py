"""Asking for a restart: the request is written down, a helper carries it out, and the command only follows."""

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
	"""The restart itself; returns the exit code."""
	asks = STRATEGIES[strategy].interrupts and not params["yes"] and sys.stdin.isatty()
	if params["dry_run"] or asks:
		from .plan import show_plan  # a tenth of a second that few have to wait

		show_plan(bench, strategy, options, params["as_json"] and params["dry_run"])
		if params["dry_run"]:
			return 0
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
		said = f"Request {request.id} is on its way; `safe-restart show {request.id}` tells how it goes."
		click.echo(said, err=params["as_json"])
		return 0
	request = Follower(bench, journal, helper, params, interrupts).follow(request)
	if params["as_json"]:
		from ..engine.state.report import as_json
		from .context import print_json

		print_json(as_json(request, journal.steps(request.id)))
	return request.exit_code if request.exit_code is not None else 1


def requester() -> str:
	"""Who asks; through sudo the person behind it."""
	try:
		return os.environ.get("SUDO_USER") or getpass.getuser()
	except (KeyError, OSError):
		return str(os.getuid())
