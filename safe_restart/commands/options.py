"""Makes flags from the table of options, and options from what was typed.

An option is added in engine/restart/options.py; this file knows only the kinds of options.
"""

from collections.abc import Callable, Iterable
from typing import Any

import click

from ..engine.core.bench import Bench
from ..engine.core.errors import Refused
from ..engine.restart.options import COMMAND_LINE, TABLE, Option, Options, defaults_of, settable_by

STRATEGY_FLAGS = {
	"wait_workers": "wait-workers",
	"no_wait_workers": "no-wait-workers",
	"suspend_rq": "suspend-rq",
	"now": "now",
}
NAMES = tuple(row.name for row in settable_by(COMMAND_LINE))


def flags(names: Iterable[str] = NAMES) -> Callable:
	"""A decorator that gives a command the flags of these options.

	A flag that was not typed is None: the settings decide.
	"""

	def decorate(command: Callable) -> Callable:
		for name in reversed(tuple(names)):
			command = flag(TABLE[name])(command)
		return command

	return decorate


def flag(row: Option) -> Callable:
	"""The decorator that gives a command one flag."""
	shared: dict[str, Any] = {"help": row.help, "default": None}
	if row.kind == "flag":
		return click.option(row.flag, row.name, is_flag=True, help=row.help)
	if row.kind == "seconds":
		shown = False if row.default is None else f"{row.default:g}"
		return click.option(row.flag, row.name, type=float, metavar="SECONDS", show_default=shown, **shared)
	if row.kind == "choice":
		choices = click.Choice(row.choices)
		return click.option(row.flag, row.name, type=choices, show_default=row.default, **shared)
	if row.choices:
		return click.option(row.flag, row.name, metavar="LIST", **shared)
	return click.option(row.flag, row.name, multiple=True, metavar=row.flag.strip("-").upper(), help=row.help)


def options_typed(bench: Bench, params: dict[str, Any]) -> Options:
	"""The options that were typed; all others come from the settings or the table. Raises Refused."""
	values = defaults_of(bench)
	for name in set(params) & set(TABLE):
		row, value = TABLE[name], params[name]
		if value is None:
			continue
		if row.kind == "names" and isinstance(value, str):
			value = tuple(filter(None, (word.strip() for word in value.split(","))))
		values[name] = value
	return Options.from_dict(values)


def strategy_of(params: dict) -> str:
	"""The strategy whose flag was typed, or the default. Raises Refused where two were typed."""
	chosen = [name for flag, name in STRATEGY_FLAGS.items() if params[flag]]
	if len(chosen) > 1:
		typed = " and ".join(f"--{name}" for name in chosen)
		raise Refused(f"{typed} contradict each other. Nothing was touched. Choose one.")
	default = "wait-workers" if params["migrate"] and not params["allow_running_jobs"] else "rolling"
	return chosen[0] if chosen else default


def named_sites(ctx: click.Context) -> tuple[str, ...]:
	"""The sites that were typed, as `safe-restart --site` or as `bench --site SITE safe-restart`; empty
	stands for all.

	`bench` fills its context with the default site where none was typed, so the parameter counts and not the
	context.
	"""
	typed = ctx.params["sites"]
	above = ctx.parent.params.get("site") if ctx.parent else None
	return typed or ((above,) if above and above != "all" else ())


def options_of(ctx: click.Context, bench: Bench) -> dict:
	"""The options as they were typed, with the bench's defaults in the gaps. Raises Refused."""
	return options_typed(bench, {**ctx.params, "sites": named_sites(ctx)}).as_dict()
