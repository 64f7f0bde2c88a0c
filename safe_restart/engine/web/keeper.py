"""The web keeper as a process: recognizing it, and reading what it says about itself."""

import json
from contextlib import suppress
from pathlib import Path

import psutil

from ..managers.base import Service

KEEPER = "web_keeper.py"


def keeper_of(command: str) -> Path | None:
	"""The keeper's file in a command line; None where it has none."""
	return next((Path(word) for word in command.split() if Path(word).name == KEEPER), None)


def keeper_in(service: Service) -> Path | None:
	"""The keeper that a service's process is, which may be older than what its manager has read since; where it is down,
	the one that would be started."""
	if not service.pid:
		return keeper_of(service.command)
	with suppress(psutil.Error):
		return keeper_of(" ".join(psutil.Process(service.pid).cmdline()))
	return None


def told_by(status_path: Path) -> dict:
	"""What a keeper says it does; empty where it says nothing."""
	with suppress(OSError, ValueError):
		return json.loads(status_path.read_text())
	return {}
