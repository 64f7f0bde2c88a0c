"""What a person on a site may ask for: a few of the engine's options, checked, with the bench's defaults in the gaps."""

import frappe
from frappe import _

from ..engine.core.bench import Bench
from ..engine.core.errors import Refused
from ..engine.restart.options import RESTARTED_BY_DEFAULT, Options
from ..engine.restart.strategies import (
	STRATEGIES,
	WAIT_WORKERS,
	Strategy,
	check_migrate,
	check_redis,
	strategy_named,
)
from ..engine.views import board

NUMBERS = ("wait_workers_timeout", "force_kill_timeout", "migrate_timeout")
FLAGS = ("migrate", "override_blockers")
MAY_BE_ASKED = ("only", "interrupted", *FLAGS, *NUMBERS)


def options_of(asked: dict, bench: Bench) -> Options:
	"""The engine's options; what is absent or null is as the bench's settings say, and so is what is empty, but for
	force_kill_timeout: that is then the process manager's own grace. Raises Refused."""
	if unknown := set(asked) - set(MAY_BE_ASKED):
		raise Refused(f"Unknown option {', '.join(sorted(unknown))}. Nothing was touched.")
	given = {name: value for name, value in asked.items() if value not in (None, "")}
	if asked.get("force_kill_timeout") == "":
		given["force_kill_timeout"] = None
	defaults = board.defaults(bench)
	values = {name: given.get(name, defaults[name]) for name in ("interrupted", *NUMBERS)}
	values |= {name: number(values[name]) for name in NUMBERS}
	values["only"] = words(given["only"]) if "only" in given else RESTARTED_BY_DEFAULT
	values |= {name: frappe.utils.sbool(given.get(name, False)) in (True, 1) for name in FLAGS}
	values["sites"] = (frappe.local.site,) if values["migrate"] else ()
	return Options.from_dict(values)


def of_board(options: dict | str | None) -> dict:
	"""What the board sends; there null is nothing, and not whatever the settings say."""
	options = frappe.parse_json(options) or {}
	if not isinstance(options, dict):
		raise Refused("The options must be a JSON object. Nothing was touched.")
	return {name: "" if value is None else value for name, value in options.items()}


def strategy_of(name: str | None, options: Options, bench: Bench) -> Strategy:
	"""The strategy that was named, or else the bench's default. Raises Refused where it cannot go with the options."""
	strategy = strategy_named(
		name or (WAIT_WORKERS if options.migrate else board.defaults(bench)["strategy"])
	)
	if strategy.name not in STRATEGIES:
		raise Refused(f"{name!r} is no restart. Nothing was touched. Choose one of {', '.join(STRATEGIES)}.")
	check_redis(strategy, options)
	check_migrate(strategy, options)
	return strategy


def check_confirmation(strategy: Strategy, confirm: str | None) -> None:
	"""The site's name has to be typed where jobs are interrupted. Raises Refused."""
	if strategy.interrupts and confirm != frappe.local.site:
		raise Refused(
			_("{0} interrupts jobs. Confirm it with the name of this site, {1}. Nothing was touched.").format(
				strategy.name, frappe.local.site
			)
		)


def words(value: str | list | None) -> tuple[str, ...]:
	"""`web, workers` or a list, as a tuple."""
	parts = value.split(",") if isinstance(value, str) else value or ()
	return tuple(str(part).strip() for part in parts if str(part).strip())


def number(value: object) -> object:
	"""A number that came as text; anything else stays for the engine to refuse."""
	try:
		return float(value) if isinstance(value, str) else value
	except ValueError:
		return value
