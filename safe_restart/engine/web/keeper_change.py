"""The web's command with and without the keeper, whoever runs it. Reads files, touches nothing.

All that ever differs is the beginning of one command. keeper_supervisor.py and keeper_systemd.py know where it is written.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core.bench import Bench
from ..core.errors import Refused
from ..managers.base import ProcessManager, Service
from ..processes.classify import WEB
from . import gunicorn_command
from .gunicorn_command import Gunicorn, not_understood
from .keeper import KEEPER

COMMAND = "setup web"


@dataclass(frozen=True)
class Change:
	"""One file as it is and as it is to be; empty where there is none. `warnings` are sentences."""

	path: Path
	before: str
	after: str
	warnings: tuple[str, ...] = ()

	@property
	def diff(self) -> str:
		lines = difflib.unified_diff(
			self.before.splitlines(True), self.after.splitlines(True), str(self.path), "as it is to be", n=1
		)
		return "".join(lines)


class Setup:
	"""Where one process manager has the web's command written, and how it is told of a change."""

	restarts = "the web"  # what loading a change restarts

	def __init__(self, bench: Bench, manager: ProcessManager):
		self.bench = bench
		self.manager = manager

	def plan(self, undo: bool = False) -> Change:
		"""The change that puts the keeper in front of gunicorn, or away. Raises Refused for what is not understood."""
		raise NotImplementedError

	def write(self, change: Change, note: Callable[[str], None]) -> None:
		"""Write it and let the manager read it; nothing is restarted. Raises RestartError where the manager does not take
		it, and OSError; all is then as it was."""
		raise NotImplementedError

	def put_back(self, change: Change) -> None:
		"""Write what was there before, and let the manager read it."""
		raise NotImplementedError

	def restart(self, service: Service) -> None:
		"""Stop and start the web in the manager's own way, with the command that it has read."""
		raise NotImplementedError

	def tidy(self) -> None:
		"""Remove what was kept for a way back that nobody needs any more."""

	def what_is_gone(self, service: Service) -> str:
		"""Where the keeper is written no more: what happened, as a clause; else empty."""
		raise NotImplementedError

	def what_is_outdated(self, service: Service) -> str:
		"""Where the keeper is written and starts another gunicorn than bench means: what happened, as a clause."""
		return ""


def web_of(manager: ProcessManager) -> Service:
	"""The web as the manager runs it now. Raises Refused where there is not exactly one."""
	found = [service for service in manager.services() if service.kind == WEB]
	if len(found) != 1:
		raise Refused(
			f"{manager.name} runs {len(found)} web programs of this bench, and setup web understands one. Nothing was "
			"touched. Should one be missing, let the manager read its files first (`supervisorctl update`, `systemctl "
			"daemon-reload`)."
		)
	return found[0]


def keeper_path(bench: Bench) -> Path:
	return bench.path / "config" / KEEPER


def keeper_text() -> str:
	return Path(__file__).with_name(KEEPER).read_text()


def with_keeper(bench: Bench, gunicorn: Gunicorn, command: str) -> str:
	"""The command with the keeper: it stands before gunicorn's own words and changes none of them."""
	return f"{gunicorn.python} -I -S {keeper_path(bench)} {command}"


def without_keeper(command: str) -> str:
	"""The command without the keeper."""
	return re.sub(rf"^\S+ -I -S \S*{re.escape(KEEPER)} ", "", command)


def understand(
	bench: Bench,
	command: str,
	directory: str,
	settings: Iterable[tuple[str, str]],
	known: Mapping[str, tuple[str, ...]],
) -> Gunicorn:
	"""Raises Refused unless every setting is one that bench writes, or that makes no difference, and so is the command.

	known: the settings, each with those of its values that are understood; none for any.
	"""
	for name, value in settings:
		if name not in known or (known[name] and value.lower() not in known[name]):
			raise not_understood(f"it has {name}={value}")
		if "GUNICORN_CMD_ARGS" in value:
			raise not_understood("it has more words for gunicorn in GUNICORN_CMD_ARGS")
	if Path(directory).resolve() != bench.sites_path:
		raise not_understood(f"it does not run in {bench.sites_path}")
	gunicorn = gunicorn_command.read(command)
	if gunicorn.port != bench.web_port:
		raise not_understood(
			f"it listens on port {gunicorn.port}, but webserver_port in common_site_config.json is {bench.web_port}"
		)
	if not Path(gunicorn.python).exists():
		raise not_understood(f"{gunicorn.python} is not there")
	if " " in str(bench.path):
		raise not_understood("the bench's path has a space")
	return gunicorn


def warnings_of(gunicorn: Gunicorn) -> tuple[str, ...]:
	if gunicorn.worker_class == "sync":
		return ()
	return (
		"gunicorn's gthread workers (--threads) drop a few requests that they have accepted when they are stopped, "
		"whoever holds the socket: a restart then costs 1 to 3 requests instead of none. Without --threads it costs none.",
	)
