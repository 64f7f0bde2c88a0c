"""A systemd scope for the helper, outside the unit that starts it: a stop of that unit kills all that is in it."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from ...core import environment
from ...core.bench import Bench
from ...core.errors import Unreachable
from .manager import SYSTEM, USER, Systemd
from .unit_properties import is_of

# With these values of KillMode a stop of the unit neither kills nor signals its other processes (systemd.kill(5)).
SURVIVING_KILL_MODES = ("process", "none")


def way_out(bench: Bench) -> tuple[list[str], Mapping[str, str]]:
	"""What to put before a command, and its environment, so that the command outlives this process's unit of the bench.

	No words where this process is in no unit, or in one whose stop spares the command. Raises OSError, with the fix,
	where systemd allows none of this.
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
		f"replacing {Path(path).name}, in which this process runs, would end it too, and systemd gives it no scope of its own: "
		f"{'; '.join(refusals)}. Either `sudo loginctl enable-linger {user_name()}`, which gives this user a systemd of "
		"its own, or type `safe-restart` on a terminal"
	)


def is_killed_with(manager: Systemd, cgroup: str) -> bool:
	"""Whether a cgroup is that of a unit of the bench in this systemd, whose stop kills all that is in it."""
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
	"""The name of this user, or the number where it has no name."""
	try:
		return pwd.getpwuid(os.geteuid()).pw_name
	except KeyError:
		return str(os.geteuid())
