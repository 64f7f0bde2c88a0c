"""Drop-ins for worker units, with which any stop of a unit lets a running job finish (FACTS 1.6)."""

import re
from pathlib import Path

from ...core.errors import Refused
from ...processes.classify import WORKERS
from . import dropins, unit_properties
from .dropins import DropIn
from .manager import Systemd
from .unit_properties import Properties

COMMAND = "setup systemd"
FILE = "safe-restart.conf"
# At first only the main process gets a signal; the work-horse is killed with the rest when the time is over.
KILL_MODE = "mixed"
MARGIN_SECONDS = 60  # for an RQ worker to end after its job


def wanted(manager: Systemd, longest_seconds: dict[str, int]) -> list[DropIn]:
	"""The drop-ins that are missing. Raises Refused for a unit that this does not understand.

	longest_seconds: how long jobs may take, by the names of units
	"""
	templates: dict[str, list[Properties]] = {}
	for unit in manager.units():
		if unit_properties.kind(unit) == WORKERS:
			check(unit)
			templates.setdefault(template(unit["Id"]), []).append(unit)
	found = []
	for name, members in templates.items():
		longest = max(longest_seconds[unit["Id"]] for unit in members)
		path = dropins.place(manager, name, FILE)
		drop_in = DropIn(path, text(longest + MARGIN_SECONDS), tuple(unit["Id"] for unit in members))
		dropins.check_file(path, COMMAND)
		is_there = dropins.read(path) == drop_in.text
		if not is_there and not all(is_safe(unit, longest) for unit in members):
			found.append(drop_in)
	return found


def check(unit: Properties) -> None:
	"""Raises Refused for a worker unit that is unlike those that bench and pilot write."""
	why = dropins.why_not_its_own(unit)
	if unit["KillMode"] not in ("control-group", KILL_MODE):
		why = f"its KillMode is {unit['KillMode']}, which somebody chose"
	elif unit["Type"] not in ("simple", "exec", "notify"):
		why = f"its Type is {unit['Type']}"
	if why:
		raise Refused(f"{unit['Id']} is not understood: {why}. Nothing was changed. Change it by hand.")


def is_safe(unit: Properties, longest_seconds: int) -> bool:
	"""Whether any stop of a unit lets a running job finish, and the unit comes back."""
	waits = unit_properties.seconds(unit["TimeoutStopUSec"]) >= longest_seconds
	return unit["KillMode"] == KILL_MODE and unit["Restart"] == "always" and waits


def text(stop_seconds: int) -> str:
	"""The text of a drop-in."""
	settings = f"KillMode={KILL_MODE}\nTimeoutStopSec={stop_seconds}\nRestart=always\n"
	return f"{dropins.first_line(COMMAND)}\n[Service]\n{settings}"


def template(name: str) -> str:
	"""The name whose drop-ins count for a unit: of its template where the unit is an instance, else its own."""
	return re.sub(r"@.*(\.service)$", r"@\1", name)


def write(manager: Systemd, drop_ins: list[DropIn]) -> None:
	"""Write drop-ins. Raises RestartError where they do not take effect; nothing is changed then."""
	dropins.write(manager, drop_ins, lambda unit: unit["KillMode"] == KILL_MODE)


def written(manager: Systemd) -> list[Path]:
	"""The paths of the drop-ins that this command wrote and that still exist."""
	names = sorted({template(name) for name in manager.names})
	paths = [dropins.place(manager, name, FILE) for name in names]
	return [path for path in paths if dropins.is_ours(path, COMMAND)]


def remove(manager: Systemd, paths: list[Path]) -> None:
	"""Remove drop-ins, and have systemd read the rest."""
	dropins.put(manager, dict.fromkeys(paths, ""))
