"""Drop-ins for worker units, with which a stop by whatever means lets a running job finish (FACTS 1.6)."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..bench import Bench
from ..errors import Refused, RestartError
from . import WORKERS, units
from .systemd import SYSTEM, USER, Systemd, find
from .units import Properties

FILE = "safe-restart.conf"
FIRST_LINE = "# Written by `safe-restart setup systemd`; the same with --undo removes it."
# Killing the main process only, first; the work-horse with the rest when the time is over.
KILL_MODE = "mixed"
MARGIN_SECONDS = 60  # an RQ worker needs some time after its job


@dataclass(frozen=True)
class DropIn:
	"""One file, for a unit or for all instances of a template; `names` are the units that it changes."""

	path: Path
	text: str
	names: tuple[str, ...]


def manager_of(bench: Bench, scope: str) -> Systemd:
	"""The systemd whose units are to be changed. Raises Refused where that has none of this bench, or may not be."""
	tried: list[str] = []
	found = {manager.scope: manager for manager in find(bench, tried)}
	if scope not in found:
		other = next(iter(found), None)
		flag = {USER: "add --user", SYSTEM: "leave out --user"}.get(other, "; ".join(tried))
		raise Refused(f"systemd ({scope}) has no units of {bench.path}. Nothing was changed. Mend: {flag}.")
	if scope == SYSTEM and os.geteuid() != 0:
		raise Refused(
			f"Only root may change the units of the system. Nothing was changed. Type: sudo safe-restart --bench {bench.path} "
			"setup systemd"
		)
	if scope == USER and bench.sites_path.stat().st_uid != os.geteuid():
		raise Refused(
			"Only the bench's owner may change the owner's units. Nothing was changed. Run this as that user."
		)
	return found[scope]


def wanted(manager: Systemd, longest_seconds: dict[str, int]) -> list[DropIn]:
	"""What is missing; longest_seconds is what jobs may take, by unit. Raises Refused for a unit it does not understand."""
	templates: dict[str, list[Properties]] = {}
	for unit in manager.units():
		if units.kind(unit) == WORKERS:
			check(unit)
			templates.setdefault(template(unit["Id"]), []).append(unit)
	found = []
	for name, members in templates.items():
		longest = max(longest_seconds[unit["Id"]] for unit in members)
		path = folder(manager.scope) / f"{name}.d" / FILE
		drop_in = DropIn(path, text(longest + MARGIN_SECONDS), tuple(unit["Id"] for unit in members))
		check_file(path)
		is_there = path.exists() and path.read_text() == drop_in.text
		if not is_there and not all(is_safe(unit, longest) for unit in members):
			found.append(drop_in)
	return found


def check(unit: Properties) -> None:
	fragment = unit["FragmentPath"]
	why = ""
	if unit["KillMode"] not in ("control-group", KILL_MODE):
		why = f"its KillMode is {unit['KillMode']}, which somebody chose"
	elif unit["Type"] not in ("simple", "exec", "notify"):
		why = f"its Type is {unit['Type']}"
	elif not fragment or "/transient/" in fragment or "/generator" in fragment:
		why = "it has no unit file of its own"
	if why:
		raise Refused(f"{unit['Id']} is not understood: {why}. Nothing was changed. Change it by hand.")


def check_file(path: Path) -> None:
	if path.exists() and not path.read_text().startswith(FIRST_LINE):
		raise Refused(f"{path} was not written by this command. Nothing was changed. Move it away first.")


def is_safe(unit: Properties, longest_seconds: int) -> bool:
	waits = units.seconds(unit["TimeoutStopUSec"]) >= longest_seconds
	return unit["KillMode"] == KILL_MODE and unit["Restart"] == "always" and waits


def text(stop_seconds: int) -> str:
	return f"{FIRST_LINE}\n[Service]\nKillMode={KILL_MODE}\nTimeoutStopSec={stop_seconds}\nRestart=always\n"


def template(name: str) -> str:
	"""The name whose drop-ins count for a unit: those of its template, where it is an instance."""
	return re.sub(r"@.*(\.service)$", r"@\1", name)


def folder(scope: str) -> Path:
	"""Where an administrator's drop-ins are (systemd.unit(5))."""
	if scope == SYSTEM:
		return Path("/etc/systemd/system")
	return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd/user"


def write(manager: Systemd, drop_ins: list[DropIn]) -> None:
	"""Write them, and see that they have the last word; otherwise they are removed again. Raises RestartError."""
	for drop_in in drop_ins:
		drop_in.path.parent.mkdir(parents=True, exist_ok=True)
		drop_in.path.write_text(drop_in.text)
	manager.reload()
	names = [name for drop_in in drop_ins for name in drop_in.names]
	left = [unit for unit in manager.units() if unit["Id"] in names and unit["KillMode"] != KILL_MODE]
	if left:
		remove(manager, [drop_in.path for drop_in in drop_ins])
		raise RestartError(
			f"{left[0]['Id']} still has KillMode={left[0]['KillMode']}: something else has the last word, of "
			f"{left[0]['DropInPaths'] or left[0]['FragmentPath']}. What was written has been removed again."
		)


def written(manager: Systemd) -> list[Path]:
	"""The drop-ins of this command that are there."""
	names = sorted({template(name) for name in manager.names})
	paths = [folder(manager.scope) / f"{name}.d" / FILE for name in names]
	return [path for path in paths if path.exists() and path.read_text().startswith(FIRST_LINE)]


def remove(manager: Systemd, paths: list[Path]) -> None:
	for path in paths:
		path.unlink()
		if not any(path.parent.iterdir()):
			path.parent.rmdir()
	manager.reload()
