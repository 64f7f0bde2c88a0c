"""Flags made from the table of options, and what was typed made into options again.

engine/restart/options.py is where an option is added; this file knows only kinds.
"""

from collections.abc import Callable, Iterable
from typing import Any

import click

from ..engine.core.bench import Bench
from ..engine.restart.options import COMMAND_LINE, TABLE, Option, Options, defaults_of, settable_by

NAMES = tuple(row.name for row in settable_by(COMMAND_LINE))


def flags(names: Iterable[str] = NAMES) -> Callable:
	"""A decorator that gives a command the flags of these options. What was not typed is None: then the settings decide."""

	def decorate(command: Callable) -> Callable:
		for name in reversed(tuple(names)):
			command = flag(TABLE[name])(command)
		return command

	return decorate


def flag(row: Option) -> Callable:
	said: dict[str, Any] = {"help": row.help, "default": None}
	if row.kind == "flag":
		return click.option(row.flag, row.name, is_flag=True, help=row.help)
	if row.kind == "seconds":
		shown = False if row.default is None else f"{row.default:g}"
		return click.option(row.flag, row.name, type=float, metavar="SECONDS", show_default=shown, **said)
	if row.kind == "choice":
		choices = click.Choice(row.choices)
		return click.option(row.flag, row.name, type=choices, show_default=row.default, **said)
	if row.choices:
		return click.option(row.flag, row.name, metavar="LIST", **said)
	return click.option(row.flag, row.name, multiple=True, metavar=row.flag.strip("-").upper(), help=row.help)


def options_typed(bench: Bench, params: dict[str, Any]) -> Options:
	"""The options as they were typed, and where nothing was as the settings or the table say. Raises Refused."""
	values = defaults_of(bench)
	for name in set(params) & set(TABLE):
		row, value = TABLE[name], params[name]
		if value is None:
			continue
		if row.kind == "names" and isinstance(value, str):
			value = tuple(filter(None, (word.strip() for word in value.split(","))))
		values[name] = value
	return Options.from_dict(values)
