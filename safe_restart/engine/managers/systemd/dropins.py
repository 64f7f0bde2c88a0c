"""Drop-ins: files that change a unit without touching its unit file, which bench may write anew (systemd.unit(5))."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...core.bench import Bench
from ...core.errors import Refused, RestartError
from ...core.files import write_atomically
from .manager import SYSTEM, USER, Systemd, find_systemd
from .unit_properties import Properties


@dataclass(frozen=True)
class DropIn:
	"""A file for a unit, or for all instances of a template. An empty text stands for no file.

	names: of the units that the file changes
	"""

	path: Path
	text: str
	names: tuple[str, ...]


def first_line(command: str) -> str:
	"""The first line of the files that a command such as `setup web` writes, by which they are recognized."""
	return f"# Written by `safe-restart {command}`; the same with --undo removes it."


def manager_of(bench: Bench, scope: str, command: str) -> Systemd:
	"""The systemd of a scope, whose units are to be changed.

	Raises Refused where that systemd has no units of this bench, or this user may not change them.
	"""
	tried: list[str] = []
	found = {manager.scope: manager for manager in find_systemd(bench, tried)}
	if scope not in found:
		other = next(iter(found), "")
		fix = {USER: "add --user", SYSTEM: "leave out --user"}.get(other, "; ".join(tried))
		raise Refused(f"systemd ({scope}) has no units of {bench.path}. Nothing was changed. Fix: {fix}.")
	check_rights(found[scope], command)
	return found[scope]


def check_rights(manager: Systemd, command: str) -> None:
	"""Raises Refused where this user may not change these units."""
	if manager.scope == SYSTEM and os.geteuid() != 0:
		raise Refused(
			"Only root may change the units of the system. Nothing was changed. Type: sudo safe-restart --bench "
			f"{manager.bench.path} {command}"
		)
	if manager.scope == USER and manager.bench.sites_path.stat().st_uid != os.geteuid():
		raise Refused(
			"Only the bench's owner may change the owner's units. Nothing was changed. Run this as that user."
		)


def why_not_its_own(unit: Properties) -> str:
	"""Why a drop-in for this unit would not last, as part of a sentence; empty where it has a unit file of its own."""
	fragment = unit["FragmentPath"]
	is_generated = not fragment or "/transient/" in fragment or "/generator" in fragment
	return "it has no unit file of its own" if is_generated else ""


def place(manager: Systemd, name: str, file: str) -> Path:
	"""The path of a drop-in with this file name, for a unit or template."""
	return folder(manager) / f"{name}.d" / file


def folder(manager: Systemd) -> Path:
	"""The folder of an administrator's drop-ins, or of those of the user whose systemd it is (systemd.unit(5))."""
	if manager.scope == SYSTEM:
		return Path("/etc/systemd/system")
	home = manager.environment.get("HOME") or Path.home()
	return Path(manager.environment.get("XDG_CONFIG_HOME") or Path(home, ".config")) / "systemd/user"


def is_ours(path: Path, command: str) -> bool:
	"""Whether this command wrote a file."""
	return read(path).startswith(first_line(command))


def check_file(path: Path, command: str) -> None:
	"""Raises Refused where a file exists that this command did not write."""
	if path.exists() and not is_ours(path, command):
		raise Refused(f"{path} was not written by this command. Nothing was changed. Move it away first.")


def read(path: Path) -> str:
	"""The text of a file; empty where there is none."""
	return path.read_text() if path.exists() else ""


def write(manager: Systemd, drop_ins: list[DropIn], is_in_force: Callable[[Properties], bool]) -> None:
	"""Write drop-ins and check that they take effect. Restarts nothing.

	Raises RestartError where they do not; the files are then as they were.

	is_in_force: whether a unit is as its drop-in is to make it
	"""
	before = {drop_in.path: read(drop_in.path) for drop_in in drop_ins}
	try:
		put(manager, {drop_in.path: drop_in.text for drop_in in drop_ins})
		check_in_force(manager, drop_ins, is_in_force)
	except BaseException:
		put(manager, before)
		raise


def check_in_force(
	manager: Systemd, drop_ins: list[DropIn], is_in_force: Callable[[Properties], bool]
) -> None:
	"""Raises RestartError where a drop-in does not take effect."""
	now = {unit["Id"]: unit for unit in manager.units()}
	names = [name for drop_in in drop_ins for name in drop_in.names]
	if unchanged := [name for name in names if name not in now or not is_in_force(now[name])]:
		files = now[unchanged[0]]["DropInPaths"] if unchanged[0] in now else "its files"
		raise RestartError(
			f"{unchanged[0]} does not take it: something else has the last word, one of {files}. What was written has "
			"been taken back, and nothing was restarted."
		)


def put(manager: Systemd, texts: dict[Path, str]) -> None:
	"""Write each file, or remove it where its text is empty, and have systemd read the files."""
	for path, text in texts.items():
		if text:
			if not path.parent.exists():
				path.parent.mkdir(parents=True)
				path.parent.chmod(0o755)  # whatever the umask: `doctor` reads it as the bench's owner
			write_atomically(path, text)
			continue
		path.unlink(missing_ok=True)
		if path.parent.exists() and not any(path.parent.iterdir()):
			path.parent.rmdir()
	manager.reload()
