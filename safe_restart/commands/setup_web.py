"""`setup web`: shows the change, asks, and has it made."""

import sys

import click

from ..engine import setup_web as engine
from ..engine.bench import Bench
from ..engine.errors import Refused
from ..engine.web_config import keeper_path

COST = "Loading it restarts {} once, in {}'s way: requests are refused while they boot. From then on a restart refuses none."
COST_OF_UNDOING = "Loading it restarts {} once, in {}'s way: requests are refused while they boot, as from then on with each restart."


def run(bench: Bench, undo: bool, yes: bool, dry_run: bool) -> None:
	"""Raises RestartError; what was changed by then is put back."""
	setup = engine.setup_of(bench)
	change = setup.plan(undo)
	is_written = change.before == change.after
	is_loaded = engine.is_in_force(setup, wanted=not undo)
	if is_written and is_loaded:
		if not undo and not dry_run and engine.is_refreshed(bench):
			click.echo(
				f"{keeper_path(bench)} is of this version now; a restart of the web by {setup.manager.name} loads it."
			)
			return
		click.echo(
			"Nothing to do: the web has no keeper." if undo else "Nothing to do: the web has its keeper."
		)
		return
	click.echo(
		change.diff or f"{change.path} is as it should be; {setup.manager.name} has not loaded it.",
		nl=is_written,
	)
	for warning in change.warnings:
		click.echo(warning)
	click.echo((COST_OF_UNDOING if undo else COST).format(setup.restarts, setup.manager.name))
	if dry_run:
		return
	if not yes and not sys.stdin.isatty():
		raise Refused("Nobody is here to be asked. Nothing was touched. Add --yes.")
	if not yes:
		click.confirm("Go on?", abort=True)
	engine.apply(setup, change, not undo, click.echo)
	click.echo("Done." if undo else "Done. `safe-restart setup web --undo` takes it back.")
