"""Every key that an administrator may set under `safe_restart` in sites/common_site_config.json, in one place.

The administrator's defaults for the options of a restart stand there too, under `defaults`; restart/options.py has the
table of options. docs/configuration.md describes the same keys, and a test compares both.
"""

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeGuard

from .errors import Refused

MANAGERS = ("supervisor", "systemd", "foreground", "containers")
POLICIES = ("requeue", "hold", "fail")
MAX_DELAY_SECONDS = 30 * 24 * 3600  # a job that is to wait longer is better held for a person
MAX_RETURN_SECONDS = 3600


def is_number(value: object) -> TypeGuard[int | float]:
	return isinstance(value, int | float) and not isinstance(value, bool)


def is_names(value: object) -> bool:
	return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def is_delays(value: object) -> bool:
	return isinstance(value, list | tuple) and all(
		is_number(delay) and 0 <= delay <= MAX_DELAY_SECONDS for delay in value
	)


def is_policies(value: object) -> bool:
	return isinstance(value, dict) and all(action in POLICIES for action in value.values())


def is_whole_number_from_1(value: object) -> bool:
	return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def is_return_time(value: object) -> bool:
	return is_number(value) and 0 < value <= MAX_RETURN_SECONDS


def key(default: Any, must_be: str, is_right: Callable[[Any], bool]) -> Any:
	"""A field of Settings.

	must_be: what completes the sentence "it must be …"
	is_right: whether a value is allowed
	"""
	metadata = {"must_be": must_be, "is_right": is_right}
	if isinstance(default, dict):
		return field(default_factory=dict, metadata=metadata)
	return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
	"""What the administrator has set. Anyone who can write common_site_config.json may set each of these.

	process_manager: the manager to use where several run services of the bench; None: the one that is found
	supervisor_socket: the path or URL of supervisord's socket; None: the usual places are tried
	container_return_seconds: how long a container may take to be started again
	sites: the sites that may ask for restarts from their desk, on a bench with several sites
	max_attempts: a job that was interrupted this many times is held
	retry_delays_seconds: the pauses before a job runs again, the first one after its first interruption; the last one
	    counts for all further interruptions
	job_policy: what becomes of an interrupted job (requeue, hold or fail), by its dotted method
	defaults: the values of options for which a person chooses none, and `strategy` for the desk
	"""

	process_manager: str | None = key(
		None, f"{', '.join(MANAGERS[:-1])} or {MANAGERS[-1]}", lambda value: value in MANAGERS
	)
	supervisor_socket: str | None = key(
		None, "the path or URL of a socket", lambda value: isinstance(value, str)
	)
	container_return_seconds: float = key(
		120, f"a number of seconds up to {MAX_RETURN_SECONDS}", is_return_time
	)
	sites: tuple[str, ...] = key((), "a list of sites", is_names)
	max_attempts: int = key(3, "a number from 1", is_whole_number_from_1)
	retry_delays_seconds: tuple[float, ...] = key(
		(0, 60, 120, 240), f"a list of seconds up to {MAX_DELAY_SECONDS}", is_delays
	)
	job_policy: Mapping[str, str] = key({}, f"methods with {', '.join(POLICIES)}", is_policies)
	defaults: Mapping[str, Any] = key({}, "options with their values", lambda value: isinstance(value, dict))


def read_settings(values: object, path: object) -> Settings:
	"""Check the settings that stand in the file at `path`. Raises Refused for a value that is not allowed.

	A null counts as not set. An unknown key is ignored, as another version of the app may know it.
	"""
	if not isinstance(values, dict):
		raise Refused(
			f"safe_restart in {path} must hold a JSON object. Nothing was touched. Correct the file and try again."
		)
	given = {one.name: values[one.name] for one in fields(Settings) if values.get(one.name) is not None}
	for one in fields(Settings):
		if one.name in given and not one.metadata["is_right"](given[one.name]):
			raise not_allowed(one, given[one.name], path)
	lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
	return Settings(**{**given, **lists})


def not_allowed(one: Field[Any], value: object, path: object) -> Refused:
	"""The error to raise for a value that a setting may not have."""
	return Refused(
		f"safe_restart.{one.name} in {path} is {value!r}; it must be {one.metadata['must_be']}. Nothing was touched. Correct "
		"the file and try again."
	)
