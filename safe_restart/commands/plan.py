"""`safe-restart plan` and `--dry-run`: what a restart would do."""

import click

from ..engine.core.bench import Bench
from ..engine.restart.options import Options
from ..engine.restart.strategies import adapt_to_manager, check_foreground, strategy_named


def show_plan(bench: Bench, strategy: str, options: dict, as_json: bool) -> None:
	"""Print what this restart would do; touches nothing."""
	from dataclasses import asdict

	from redis.exceptions import RedisError

	from ..engine.jobs import retry_policy
	from ..engine.managers import detect
	from ..engine.processes.classify import WEB
	from ..engine.rq import snapshot
	from ..engine.sites import app_hooks
	from ..engine.views import doctor
	from ..engine.views import plan as plans
	from ..engine.web import keeper_setup
	from ..engine.workers.fleet import FleetReader
	from . import output
	from .context import print_json

	choice, manager = Options.from_dict(options), detect.find_manager(bench)
	chosen = adapt_to_manager(strategy_named(strategy), manager.way)
	check_foreground(chosen, choice)
	try:
		fleet = FleetReader(bench, manager, snapshot.RqReader(bench)).see()
		answer = plans.plan(fleet, chosen, choice, retry_policy.of_bench(bench))
	except (RedisError, OSError):
		answer = plans.plan_without_redis(choice)
	objections = app_hooks.objections(bench)
	services = manager.services()
	warnings = [f"{one.text}; {one.mend}" for one in doctor.drawbacks(bench, manager, services)]
	if WEB in choice.only and (lost := keeper_setup.what_is_lost(bench, manager, services)):
		warnings.append(f"{lost}. Type {keeper_setup.FIX}")
	if as_json:
		blockers = [asdict(objection) for objection in objections]
		print_json({**answer.as_dict(), "blockers": blockers, "warnings": warnings})
	else:
		output.plan(answer, choice, objections)
		for warning in warnings:
			click.echo(f"Warning: {warning}.")
