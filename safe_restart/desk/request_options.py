"""Reads the options that a person on a site may set, checks them, and fills the gaps with the defaults of the
bench."""

import frappe
from frappe import _

from ..engine.core.bench import Bench
from ..engine.core.errors import Refused
from ..engine.restart.options import DESK, Options, defaults_of, settable_by
from ..engine.restart.strategies import (
	STRATEGIES,
	WAIT_WORKERS,
	Strategy,
	check_migrate,
	check_redis,
	default_strategy,
	strategy_named,
)

ROWS = {row.name: row for row in settable_by(DESK)}
NUMBERS = tuple(name for name, row in ROWS.items() if row.kind == "seconds")
FLAGS = tuple(name for name, row in ROWS.items() if row.kind == "flag")


def options_of(asked: dict, bench: Bench) -> Options:
	"""The engine's options from what was asked for. Raises Refused.

	An option that is absent, null or empty is as the settings of the bench say. Only an option that may be
	none is none where it is empty: an empty force_kill_timeout is the process manager's own grace.
	"""
	if unknown := set(asked) - set(ROWS):
		raise Refused(
			f"Unknown option {', '.join(sorted(unknown))}. Nothing was touched. Choose from {', '.join(ROWS)}."
		)
	given = {name: value for name, value in asked.items() if value not in (None, "")}
	given |= {name: None for name, row in ROWS.items() if row.may_be_none and asked.get(name) == ""}
	values = {**defaults_of(bench), **given}
	values |= {name: number(values[name]) for name in NUMBERS if name in values}
	values |= {name: frappe.utils.sbool(given.get(name, False)) in (True, 1) for name in FLAGS}
	if "only" in given:
		values["only"] = words(given["only"])
	values["sites"] = (frappe.local.site,) if values["migrate"] else ()
	return Options.from_dict(values)


def of_board(options: dict | str | None) -> dict:
	"""The options that the board sends, in which null is none, and not what the settings say.

	Raises Refused.
	"""
	options = frappe.parse_json(options) or {}
	if not isinstance(options, dict):
		raise Refused("The options must be a JSON object. Nothing was touched.")
	return {name: "" if value is None else value for name, value in options.items()}


def strategy_of(name: str | None, options: Options, bench: Bench) -> Strategy:
	"""The strategy of that name, or the bench's default.

	Raises Refused where it cannot go with the options.
	"""
	strategy = strategy_named(name or (WAIT_WORKERS if options.migrate else default_strategy(bench)))
	if strategy.name not in STRATEGIES:
		raise Refused(f"{name!r} is no restart. Nothing was touched. Choose one of {', '.join(STRATEGIES)}.")
	check_redis(strategy, options)
	check_migrate(strategy, options)
	return strategy


def check_confirmation(strategy: Strategy, confirm: str | None) -> None:
	"""Raises Refused where jobs are interrupted and the name of the site was not typed."""
	if strategy.interrupts and confirm != frappe.local.site:
		raise Refused(
			_("{0} interrupts jobs. Confirm it with the name of this site, {1}. Nothing was touched.").format(
				strategy.name, frappe.local.site
			)
		)


def words(value: str | list | None) -> tuple[str, ...]:
	"""The names in a list, or in a text such as `web, workers`."""
	parts = value.split(",") if isinstance(value, str) else value or ()
	return tuple(str(part).strip() for part in parts if str(part).strip())


def number(value: object) -> object:
	"""A number that came as text; any other value is returned as it is, for the engine to refuse."""
	try:
		return float(value) if isinstance(value, str) else value
	except ValueError:
		return value
