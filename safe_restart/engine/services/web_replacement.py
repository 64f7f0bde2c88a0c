"""Replacing the web without refusing a request, where that is possible: by its keeper, or by gunicorn itself.

The keeper is engine/web/web_keeper.py, which `setup web` puts in front of gunicorn.
"""

import shlex
import time
from contextlib import suppress
from pathlib import Path

import psutil

from ..core.errors import RestartError
from ..managers.base import ProcessManager, Service
from ..processes import tree
from ..processes.classify import WEB
from ..processes.tree import ProcessHandle
from ..web.keeper import keeper_in, read_status
from .replacement import Replacement

RELOAD_SECONDS = 15


def replacement_of(manager: ProcessManager, service: Service) -> Replacement:
	"""The kind of replacement that does the least harm to this service, not begun yet."""
	if service.kind != WEB or not service.pid:
		return Replacement(manager, service)
	if keeper := keeper_in(service):
		return KeeperReplacement(manager, service, keeper)
	if loads_code_on_hup(service):
		return ReloadReplacement(manager, service)
	return Replacement(manager, service)


class KeeperReplacement(Replacement):
	"""The web with a keeper: the keeper starts a new gunicorn beside the old one, on the same socket, and ends the old one
	when the new one answers. The keeper's own process stays, and finishes this even if the process here dies."""

	patience_seconds = 240  # the keeper's own: two boots of 90 s, and 60 s for requests that run

	def __init__(self, manager: ProcessManager, service: Service, keeper: Path):
		super().__init__(manager, service)
		self.status_path = keeper.with_suffix(".json")
		self.asked_at: float | None = None

	def begin(self) -> None:
		if self.process:
			self.asked_at = time.monotonic()  # the keeper's clock too: one for all processes of a machine
			self.manager.signal(self.old, "HUP")

	def is_done(self, now: Service) -> bool:
		"""True once the new gunicorn serves and the old one is gone. Raises RestartError where the old one had to stay."""
		if self.asked_at is None or now.pid != self.old.pid:
			return super().is_done(now)
		status = read_status(self.status_path)
		swap = status.get("swap") or {}
		if (swap.get("began") or 0) < self.asked_at or not swap.get("ended"):
			return False
		if swap["problem"]:
			raise RestartError(describe_rejection(now, swap["problem"]))
		return not status["leaving"]


def describe_rejection(service: Service, problem: str) -> str:
	path = service.log_paths[-1] if service.log_paths else ""
	log = f"{path} says why (`safe-restart logs web`)" if path else "see its log"
	return (
		f"{service.name}: the new web process {problem}. The old one goes on serving, with its old code; {log}. Fix that, "
		"then type `safe-restart --only web`."
	)


class ReloadReplacement(Replacement):
	"""gunicorn without --preload: on SIGHUP it starts workers with new code before it ends the old ones (FACTS 3.3). Where
	no new worker comes within RELOAD_SECONDS, gunicorn is replaced like any service."""

	def begin(self) -> None:
		if not self.process:
			return
		self.workers = children(self.process)
		self.give_up_at = time.monotonic() + RELOAD_SECONDS
		self.manager.signal(self.old, "HUP")

	def is_done(self, now: Service) -> bool:
		if not self.process or self.kill_at is not None or not tree.is_alive(self.process):
			return super().is_done(now)
		new = [worker for worker in children(self.process) if worker not in self.workers]
		if not new and time.monotonic() > self.give_up_at:
			super().begin()
			return False
		return bool(new) and not any(tree.is_alive(worker) for worker in self.workers)


def children(process: ProcessHandle) -> list[ProcessHandle]:
	with suppress(psutil.Error):
		return process.children()
	return []


def loads_code_on_hup(service: Service) -> bool:
	"""Whether the service surely is a gunicorn without --preload: with it, SIGHUP gives new workers that run old code.

	False also where something else than the command line may say how gunicorn runs.
	"""
	with suppress(psutil.Error, OSError, ValueError):
		process = psutil.Process(service.pid)
		words = shlex.split(service.command)
		names = [Path(word).name for word in process.cmdline()[:3]]
		# A shell in front of gunicorn would be ended by SIGHUP.
		is_ours = names[0].startswith(("python", "gunicorn"))
		is_master = is_ours and any(name.startswith("gunicorn") for name in names) and process.children()
		could_say_so_elsewhere = (
			any(word.split("=")[0] in ("-c", "--config") or word.startswith("-c") for word in words)
			or "GUNICORN_CMD_ARGS" in process.environ()
			or Path(process.cwd(), "gunicorn.conf.py").exists()
		)
		preloads = any(word.startswith("--pre") for word in words)
		return bool(is_master) and not preloads and not could_say_so_elsewhere
	return False
