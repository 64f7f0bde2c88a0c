"""The web keeper as a process: recognizing it, and reading its status."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from ..managers.base import Service

KEEPER = "web_keeper.py"


def keeper_of(command: str) -> Path | None:
	"""The keeper's file in a command line; None where it has none."""
	return next((Path(word) for word in command.split() if Path(word).name == KEEPER), None)


def keeper_in(service: Service) -> Path | None:
	"""The keeper's file in the command line of a service's process, or in the service's command where it is down.

	They can differ: the manager may have read another command since it started the process.
	"""
	if not service.pid:
		return keeper_of(service.command)
	with suppress(psutil.Error):
		return keeper_of(" ".join(psutil.Process(service.pid).cmdline()))
	return None


def read_status(status_path: Path) -> dict[str, Any]:
	"""The status that a keeper writes (`write_status` in web_keeper.py); empty where there is none that can be read."""
	with suppress(OSError, ValueError):
		return json.loads(status_path.read_text())
	return {}
