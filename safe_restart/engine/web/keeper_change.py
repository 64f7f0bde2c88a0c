"""The web's command with and without the keeper, under any process manager. Reads files, touches nothing.

All that ever differs is the beginning of one command. keeper_supervisor.py and keeper_systemd.py know where that
command is written.
"""

import difflib
import re
from abc import ABC, abstractmethod
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
	"""The text of a file before and after the change, empty where there is no file; warnings are sentences for people."""

	path: Path
	before: str
	after: str
	warnings: tuple[str, ...] = ()

	@property
	def diff(self) -> str:
		"""The change as a unified diff; empty where there is nothing to change."""
		lines = difflib.unified_diff(
			self.before.splitlines(True), self.after.splitlines(True), str(self.path), "as it is to be", n=1
		)
		return "".join(lines)


class Setup(ABC):
	"""Knows in which file one process manager has the web's command, and how the manager loads a change of it."""

	restarts = "the web"  # what loading a change restarts, in words for people

	def __init__(self, bench: Bench, manager: ProcessManager):
		self.bench = bench
		self.manager = manager

	@abstractmethod
	def plan(self, undo: bool = False) -> Change:
		"""The change that puts the keeper in front of gunicorn, or takes it away.

		Raises Refused where the web's service is not understood.
		"""

	@abstractmethod
	def write(self, change: Change, note: Callable[[str], None]) -> None:
		"""Write the change and let the manager read it; nothing is restarted.

		Raises RestartError where the manager does not accept the change, and OSError; all is then as it was.
		"""

	@abstractmethod
	def put_back(self, change: Change) -> None:
		"""Write what was there before the change, and let the manager read it."""

	@abstractmethod
	def restart(self, service: Service) -> None:
		"""Stop and start the web in the manager's own way, with the command that the manager has read."""

	def tidy(self) -> None:  # noqa: B027 (most managers keep nothing)
		"""Remove what was kept for putting the change back."""

	@abstractmethod
	def what_is_gone(self, service: Service) -> str:
		"""A clause that says what happened where the file has the keeper no longer; else empty."""

	def what_is_outdated(self, service: Service) -> str:
		"""A clause that says what happened where the keeper starts another gunicorn than bench's file says; else empty."""
		return ""


def web_of(manager: ProcessManager) -> Service:
	"""The web's service as it is now. Raises Refused where there is not exactly one."""
	found = [service for service in manager.services() if service.kind == WEB]
	if len(found) != 1:
		raise Refused(
			f"{manager.name} runs {len(found)} web services of this bench, and setup web understands one. Nothing was "
			"touched. If one is missing, let the manager read its files first (`supervisorctl update`, `systemctl "
			"daemon-reload`)."
		)
	return found[0]


def keeper_path(bench: Bench) -> Path:
	"""Where the bench's own copy of the keeper is."""
	return bench.path / "config" / KEEPER


def keeper_text() -> str:
	"""The keeper's code, as this version of the app has it."""
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
	"""Read the web's command. Raises Refused unless command and settings are such as bench writes, or make no difference.

	known: the understood values by setting; an empty tuple stands for any value
	"""
	for name, value in settings:
		if name not in known or (known[name] and value.lower() not in known[name]):
			raise not_understood(f"it has {name}={value}")
		if "GUNICORN_CMD_ARGS" in value:
			raise not_understood("it has more options for gunicorn in GUNICORN_CMD_ARGS")
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
	"""Sentences for people on what the keeper cannot do for this gunicorn (FACTS 3.2)."""
	if gunicorn.worker_class == "sync":
		return ()
	return (
		"gunicorn's gthread workers (--threads) drop a few requests that they have accepted when they are stopped, "
		"with the keeper as without: a restart then costs 1 to 3 requests. Without --threads it costs none.",
	)
