"""Drop-ins for worker units, with which a stop by whatever means lets a running job finish (FACTS 1.6)."""

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
# Killing the main process only, first; the work-horse with the rest when the time is over.
KILL_MODE = "mixed"
MARGIN_SECONDS = 60  # an RQ worker needs some time after its job


def wanted(manager: Systemd, longest_seconds: dict[str, int]) -> list[DropIn]:
	"""What is missing; longest_seconds is what jobs may take, by unit. Raises Refused for a unit it does not understand."""
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
	why = dropins.why_not_its_own(unit)
	if unit["KillMode"] not in ("control-group", KILL_MODE):
		why = f"its KillMode is {unit['KillMode']}, which somebody chose"
	elif unit["Type"] not in ("simple", "exec", "notify"):
		why = f"its Type is {unit['Type']}"
	if why:
		raise Refused(f"{unit['Id']} is not understood: {why}. Nothing was changed. Change it by hand.")


def is_safe(unit: Properties, longest_seconds: int) -> bool:
	waits = unit_properties.seconds(unit["TimeoutStopUSec"]) >= longest_seconds
	return unit["KillMode"] == KILL_MODE and unit["Restart"] == "always" and waits


def text(stop_seconds: int) -> str:
	settings = f"KillMode={KILL_MODE}\nTimeoutStopSec={stop_seconds}\nRestart=always\n"
	return f"{dropins.first_line(COMMAND)}\n[Service]\n{settings}"


def template(name: str) -> str:
	"""The name whose drop-ins count for a unit: those of its template, where it is an instance."""
	return re.sub(r"@.*(\.service)$", r"@\1", name)


def write(manager: Systemd, drop_ins: list[DropIn]) -> None:
	"""Raises RestartError where something else has the last word; then nothing was changed."""
	dropins.write(manager, drop_ins, lambda unit: unit["KillMode"] == KILL_MODE)


def written(manager: Systemd) -> list[Path]:
	"""The drop-ins of this command that are there."""
	names = sorted({template(name) for name in manager.names})
	paths = [dropins.place(manager, name, FILE) for name in names]
	return [path for path in paths if dropins.is_ours(path, COMMAND)]


def remove(manager: Systemd, paths: list[Path]) -> None:
	dropins.put(manager, dict.fromkeys(paths, ""))
