"""What a person may choose besides the strategy."""

import sys
from dataclasses import asdict, dataclass, fields

from ..core.errors import Refused
from ..jobs.actions import INTERRUPTED_CHOICES, REQUEUE
from ..processes.classify import KINDS, REDIS, SCHEDULER, SOCKETIO, WEB, WORKERS

RESTARTED_BY_DEFAULT = (WEB, WORKERS, SCHEDULER, SOCKETIO)


@dataclass(frozen=True)
class Options:
	"""What a person may choose besides the strategy; all times in seconds.

	force_kill_timeout None stands for the process manager's own grace (stopwaitsecs); sites are those to be migrated,
	none stands for all.
	"""

	only: tuple[str, ...] = RESTARTED_BY_DEFAULT
	wait_workers_timeout: float = 300
	wait_workers_verbose: bool = False
	force_kill_timeout: float | None = None
	interrupted: str = REQUEUE
	hold_seconds: float = 600
	migrate: bool = False
	allow_running_jobs: bool = False
	migrate_timeout: float = 1800
	sites: tuple[str, ...] = ()
	override_blockers: bool = False

	@property
	def touches_workers(self) -> bool:
		"""Whether workers are kept from new jobs: they are restarted themselves, or Redis is beneath them."""
		return WORKERS in self.only or REDIS in self.only

	def as_dict(self) -> dict:
		return asdict(self)

	@classmethod
	def from_dict(cls, values: dict) -> "Options":
		"""Read what a journal holds; the helper trusts nobody and checks it all again. Raises Refused."""
		known = {field.name for field in fields(cls)}
		if unknown := set(values) - known:
			raise Refused(f"Unknown option {', '.join(sorted(unknown))}. Nothing was touched.")
		lists = {name: names(name, values[name]) for name in ("only", "sites") if name in values}
		options = cls(**{**values, **lists})
		check(options)
		return options


def names(option: str, value: object) -> tuple[str, ...]:
	"""A list of names as JSON has it. Raises Refused for anything else."""
	if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
		raise Refused(f"--{option} must be a list of names, not {value!r}. Nothing was touched.")
	return tuple(value)


def check(options: Options) -> None:
	"""Refuse values that mean nothing, before anything is touched. Raises Refused."""
	if not options.only:
		raise Refused(f"--only names no service. Nothing was touched. Choose from {', '.join(KINDS)}.")
	for kind in options.only:
		if kind not in KINDS:
			raise Refused(f"{kind!r} is no service. Nothing was touched. Choose from {', '.join(KINDS)}.")
	for option in ("wait_workers_timeout", "force_kill_timeout", "hold_seconds", "migrate_timeout"):
		value = getattr(options, option)
		if value is None and option == "force_kill_timeout":
			continue
		# `not >= 0` rather than `< 0`: it also refuses NaN
		if not (isinstance(value, int | float) and 0 <= value <= sys.float_info.max):
			raise Refused(
				f"--{option.removesuffix('_seconds').replace('_', '-')} must be a number of seconds, 0 or more, "
				f"not {value!r}. Nothing was touched."
			)
	for option in ("wait_workers_verbose", "migrate", "override_blockers"):
		if not isinstance(getattr(options, option), bool):
			raise Refused(
				f"--{option.replace('_', '-')} is set or not, and cannot be {getattr(options, option)!r}. "
				"Nothing was touched."
			)
	if options.interrupted not in INTERRUPTED_CHOICES:
		raise Refused(
			f"--interrupted must be one of {', '.join(INTERRUPTED_CHOICES)}, not {options.interrupted!r}. "
			"Nothing was touched."
		)
