"""`safe-restart plan` and `--dry-run`: show what a restart would do."""

from dataclasses import asdict

import click

from ..engine.core.bench import Bench
from ..engine.managers.base import ProcessManager
from ..engine.managers.detect import find_manager
from ..engine.processes.classify import WEB
from ..engine.restart.options import Options
from ..engine.restart.strategies import adapt_to_manager, check_foreground, strategy_named
from ..engine.sites import app_hooks
from ..engine.views import doctor
from ..engine.views.preview import preview
from ..engine.web import keeper_setup
from . import output
from .context import print_json


def show_plan(bench: Bench, strategy: str, options: dict, as_json: bool) -> None:
	"""Print what this restart would do. Touches nothing; raises RestartError."""
	choice, manager = Options.from_dict(options), find_manager(bench)
	chosen = adapt_to_manager(strategy_named(strategy), manager.restart_mode)
	check_foreground(chosen, choice)
	plan = preview(bench, manager, [chosen], choice).first
	objections = app_hooks.objections(bench)
	warnings = warnings_of(bench, manager, choice)
	if as_json:
		blockers = [asdict(objection) for objection in objections]
		print_json({**plan.as_dict(), "blockers": blockers, "warnings": warnings})
		return
	output.plan(plan, choice, objections)
	for warning in warnings:
		click.echo(f"Warning: {warning}.")


def warnings_of(bench: Bench, manager: ProcessManager, options: Options) -> list[str]:
	"""What is unsafe about workers, or lost about the web, on this bench, with the fix."""
	services = manager.services()
	found = [f"{one.text}; {one.fix}" for one in doctor.drawbacks(bench, manager, services)]
	if WEB in options.only and (lost := keeper_setup.what_is_lost(bench, manager, services)):
		found.append(f"{lost}. Type {keeper_setup.FIX}")
	return found
