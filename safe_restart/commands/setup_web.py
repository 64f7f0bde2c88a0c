"""`safe-restart setup web`: shows the change, asks, and makes it."""

import sys

import click

from ..engine.core.bench import Bench
from ..engine.core.errors import Refused
from ..engine.web import keeper_setup as engine
from ..engine.web.keeper_change import Setup, keeper_path

COST = (
	"To load the change, {manager} restarts {services} once, and requests are refused meanwhile. From then on a "
	"restart refuses none."
)
COST_OF_UNDOING = (
	"To load the change, {manager} restarts {services} once, and requests are refused meanwhile. From then on each "
	"restart refuses some."
)


def run(bench: Bench, undo: bool, yes: bool, dry_run: bool) -> None:
	"""Show what is changed, ask, and change it. Raises RestartError; what was changed by then is put back."""
	setup = engine.setup_of(bench)
	change = setup.plan(undo)
	is_written = change.before == change.after
	is_loaded = engine.is_in_force(setup, wanted=not undo)
	if is_written and is_loaded:
		click.echo(refresh_keeper_file(setup, undo, dry_run))
		return
	click.echo(
		change.diff or f"{change.path} is as it should be; {setup.manager.name} has not loaded it.",
		nl=is_written,
	)
	for warning in change.warnings:
		click.echo(warning)
	cost = COST_OF_UNDOING if undo else COST
	click.echo(cost.format(services=setup.restarts, manager=setup.manager.name))
	if dry_run:
		return
	if not yes and not sys.stdin.isatty():
		raise Refused("There is no terminal to ask on. Nothing was touched. Add --yes.")
	if not yes:
		click.confirm("Go on?", abort=True)
	engine.apply(setup, change, not undo, click.echo)
	click.echo("Done." if undo else "Done. `safe-restart setup web --undo` takes it back.")


def refresh_keeper_file(setup: Setup, undo: bool, dry_run: bool) -> str:
	"""Bring the keeper's file up to date, or remove what is left of it, where nothing has to be loaded.

	Returns what was done.
	"""
	path = keeper_path(setup.bench)
	if undo and path.exists() and not dry_run:
		engine.remove_keeper(setup)
		return f"The web has no keeper any more; what was left of it, {path}, was removed."
	if undo:
		return "Nothing to do: the web has no keeper."
	if not dry_run and engine.is_refreshed(setup.bench):
		return f"{path} is of this version now; a restart of the web by {setup.manager.name} loads it."
	return "Nothing to do: the web has its keeper."
