"""A place for the helper outside the unit that starts it, since a stop of that unit kills all that is in it."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from ...core import environment
from ...core.bench import Bench
from ...core.errors import Unreachable
from .manager import SYSTEM, USER, Systemd
from .unit_properties import is_of

# A process that is neither killed nor told when its unit stops
SURVIVING_KILL_MODES = ("process", "none")


def way_out(bench: Bench) -> tuple[list[str], Mapping[str, str]]:
	"""The words before a command, and its environment, with which it outlives the unit of the bench that we run in.

	No words where we are in none, or in one whose stop spares it. Raises OSError, with the mend, where there is no way.
	"""
	path = environment.cgroup("self")
	managers = [Systemd(bench, scope) for scope in (SYSTEM, USER)] if environment.runs_in_a_unit() else []
	if not any(is_killed_with(manager, path) for manager in managers):
		return [], os.environ
	refusals = []
	for manager in managers:
		words = ["systemd-run", *manager.flags, "--scope", "--collect", "--quiet", "--no-ask-password"]
		try:
			trial = manager.run([*words, "true"])
		except Unreachable as error:
			refusals.append(str(error))
			continue
		if not trial.returncode:
			return words, {**os.environ, **manager.address}
		refusals.append(f"{manager.scope}: {trial.stderr.strip()}")
	raise OSError(
		f"replacing {Path(path).name}, which we run in, would end it too, and systemd gives it no place of its own: "
		f"{'; '.join(refusals)}. Either `sudo loginctl enable-linger {user_name()}`, which gives this user a systemd of "
		"its own, or type `safe-restart` on a terminal"
	)


def is_killed_with(manager: Systemd, cgroup: str) -> bool:
	"""Whether this cgroup is a unit of the bench in this manager, and its stop kills all that is in it."""
	try:
		units = manager.show(Path(cgroup).name)
	except Unreachable:
		return False
	return any(
		unit.get("ControlGroup") == cgroup
		and is_of(manager.bench, unit)
		and unit["KillMode"] not in SURVIVING_KILL_MODES
		for unit in units
	)


def user_name() -> str:
	try:
		return pwd.getpwuid(os.geteuid()).pw_name
	except KeyError:
		return str(os.geteuid())
