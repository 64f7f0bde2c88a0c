"""The options of a restart beside its strategy, as one table from which everything else is made.

The command line makes its flags from the table, the desk's dialog makes its fields, the journal is checked by
it, and tests hold the DocTypes to it. To add an option, add a field to `Options`.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from typing import Any

from ..core.bench import Bench
from ..core.errors import Refused
from ..jobs.actions import INTERRUPTED_CHOICES, REQUEUE
from ..processes.classify import KINDS, REDIS, SCHEDULER, SOCKETIO, WEB, WORKERS

RESTARTED_BY_DEFAULT = (WEB, WORKERS, SCHEDULER, SOCKETIO)

# Who may set an option: an operator at a shell, a person on a site, or either of them as a default in the
# settings.
COMMAND_LINE, DESK, SETTINGS = "command line", "desk", "settings"


@dataclass(frozen=True)
class Option:
	"""One row of the table.

	kind: seconds, flag, choice or names (a list of them)
	flag: as it is typed on the command line; by default the name with dashes
	may_set: where it may be set, of COMMAND_LINE, DESK and SETTINGS
	choices: the values of a choice, or the names that a list may hold; empty where any name may stand
	may_be_none: None is a value too, with a meaning of its own
	"""

	name: str
	kind: str
	default: Any
	help: str
	flag: str
	may_set: frozenset[str]
	choices: tuple[str, ...] = ()
	may_be_none: bool = False

	def check(self, value: object) -> None:
		"""Raises Refused where the option cannot have this value."""
		if not (value is None and self.may_be_none):
			CHECKS[self.kind](self, value)

	def as_json(self) -> dict:
		"""The option for the dialog in the browser."""
		return {
			"name": self.name,
			"type": self.kind,
			"default": list(self.default) if isinstance(self.default, tuple) else self.default,
			"choices": list(self.choices),
			"may_be_none": self.may_be_none,
			"help": self.help,
		}


def option(
	kind: str,
	default: Any,
	help: str,
	may_set: tuple[str, ...] = (COMMAND_LINE,),
	flag: str = "",
	choices: tuple[str, ...] = (),
	may_be_none: bool = False,
) -> Any:
	"""A field of `Options`, with its row of the table."""
	row = dict(
		kind=kind,
		default=default,
		help=help,
		may_set=frozenset(may_set),
		flag=flag,
		choices=choices,
		may_be_none=may_be_none,
	)
	return field(default=default, metadata={"row": row})


@dataclass(frozen=True)
class Options:
	"""What a person chose. Times are in seconds."""

	only: tuple[str, ...] = option(
		"names",
		RESTARTED_BY_DEFAULT,
		"Of web,workers,scheduler,socketio,redis. Redis only if named.",
		(COMMAND_LINE, DESK),
		choices=KINDS,
	)
	wait_workers_timeout: float = option(
		"seconds",
		300,
		"How long running jobs may take to finish.",
		(COMMAND_LINE, DESK, SETTINGS),
	)
	wait_workers_verbose: bool = option("flag", False, "Show each change while waiting.")
	force_kill_timeout: float | None = option(
		"seconds",
		None,
		"The grace before a job is interrupted; otherwise the process manager's.",
		(COMMAND_LINE, DESK, SETTINGS),
		may_be_none=True,
	)
	interrupted: str = option(
		"choice",
		REQUEUE,
		"What becomes of interrupted jobs.",
		(COMMAND_LINE, DESK, SETTINGS),
		choices=INTERRUPTED_CHOICES,
	)
	hold_seconds: float = option(
		"seconds", 600, "How long the bench stays drained for somebody to restart it.", flag="--hold"
	)
	migrate: bool = option(
		"flag", False, "Migrate the sites while nothing runs. Implies --wait-workers.", (COMMAND_LINE, DESK)
	)
	allow_running_jobs: bool = option(
		"flag", False, "With --migrate: do not wait for jobs that run; none is started meanwhile."
	)
	migrate_timeout: float = option(
		"seconds", 1800, "How long a migration may take.", (COMMAND_LINE, DESK, SETTINGS)
	)
	sites: tuple[str, ...] = option(
		"names", (), "Migrate only this site; may be repeated. Without it all sites.", flag="--site"
	)
	override_blockers: bool = option(
		"flag", False, "Restart though an app objects; needs --reason.", (COMMAND_LINE, DESK)
	)

	@property
	def touches_workers(self) -> bool:
		"""Whether workers are kept from new jobs: because they are restarted, or because Redis is."""
		return WORKERS in self.only or REDIS in self.only

	def as_dict(self) -> dict:
		return asdict(self)

	@classmethod
	def from_dict(cls, values: Mapping[str, Any]) -> "Options":
		"""Read the options of a request, checking each again: the helper trusts nobody. Raises Refused."""
		if unknown := set(values) - set(TABLE):
			raise Refused(
				f"Unknown option {', '.join(sorted(unknown))}. Nothing was touched. Choose from "
				f"{', '.join(TABLE)}."
			)
		for name, value in values.items():
			TABLE[name].check(value)
		lists = {name: tuple(value) for name, value in values.items() if TABLE[name].kind == "names"}
		options = cls(**{**values, **lists})
		if not options.only:
			raise Refused(f"--only names no service. Nothing was touched. Choose from {', '.join(KINDS)}.")
		return options


def row_of(one: Field) -> Option:
	row = one.metadata["row"]
	return Option(name=one.name, **{**row, "flag": row["flag"] or f"--{one.name.replace('_', '-')}"})


def check_seconds(row: Option, value: object) -> None:
	# `not 0 <=` rather than `< 0`: that also refuses NaN
	if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= sys.float_info.max:
		raise Refused(
			f"{row.flag} must be a number of seconds, 0 or more, not {value!r}. Nothing was touched."
		)


def check_flag(row: Option, value: object) -> None:
	if not isinstance(value, bool):
		raise Refused(
			f"{row.flag} is set or not: it must be true or false, not {value!r}. Nothing was touched."
		)


def check_choice(row: Option, value: object) -> None:
	if value not in row.choices:
		raise Refused(
			f"{row.flag} must be one of {', '.join(row.choices)}, not {value!r}. Nothing was touched."
		)


def check_names(row: Option, value: object) -> None:
	if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
		raise Refused(f"{row.flag} must be a list of names, not {value!r}. Nothing was touched.")
	for name in value:
		if row.choices and name not in row.choices:
			raise Refused(
				f"{name!r} is no service. Nothing was touched. Choose from {', '.join(row.choices)}."
			)


CHECKS: dict[str, Callable[[Option, object], None]] = {
	"seconds": check_seconds,
	"flag": check_flag,
	"choice": check_choice,
	"names": check_names,
}

TABLE: dict[str, Option] = {one.name: row_of(one) for one in fields(Options)}


def settable_by(who: str) -> list[Option]:
	"""The options that may be set there (COMMAND_LINE, DESK or SETTINGS), in the order of the table."""
	return [row for row in TABLE.values() if who in row.may_set]


def defaults_of(bench: Bench) -> dict[str, Any]:
	"""The values that hold on this bench where nothing was chosen.

	They come from its settings (`safe_restart: {"defaults": {…}}` in common_site_config.json), or else from
	the table. Raises Refused.
	"""
	chosen = bench.settings.defaults
	rows = {row.name: row for row in settable_by(SETTINGS)}
	for name in set(chosen) & set(rows):
		try:
			rows[name].check(chosen[name])
		except Refused as refused:
			raise Refused(f"safe_restart.defaults in {bench.config_path}: {refused}") from None
	return {name: chosen.get(name, row.default) for name, row in rows.items()}
