"""Services that a process manager which died has left behind: alive, kept by nobody, and in their successors' way.

Workers among them are no concern of this room: they may have a job, and are retired as units of the fleet.
"""

from collections.abc import Iterable
from contextlib import suppress

import psutil

from ..core.bench import Bench
from ..core.waiting import wait_until
from ..managers.base import Service
from ..processes import tree
from ..processes.classify import REDIS, SCHEDULER, SOCKETIO, WEB, kind_of

KINDS = (SCHEDULER, WEB, SOCKETIO, REDIS)


def find_orphaned_services(
	bench: Bench, services: Iterable[Service], kinds: Iterable[str] = KINDS
) -> list[tuple[str, psutil.Process]]:
	"""Kind and process of each, without its children. Only of kinds that the manager has a program for."""
	managed = {service.pid for service in services if service.pid}
	wanted = {service.kind for service in services} & set(kinds)
	names = {service.name for service in services}
	found = []
	for process in tree.inside(bench.path) if wanted else ():
		with suppress(psutil.Error):
			kind = kind_of(" ".join(process.cmdline()))
			if kind not in wanted or process.pid in managed:
				continue
			if tree.orphan_root(process, kind, names) == process:
				found.append((kind, process))
	return found


def ask_to_end(process: psutil.Process, wait_seconds: float) -> bool:
	"""SIGTERM; True once it is gone."""
	with suppress(psutil.Error):
		process.terminate()
	return wait_until(lambda: not tree.is_alive(process), wait_seconds)


def end(process: psutil.Process, grace_seconds: float) -> None:
	"""SIGTERM, and after the grace SIGKILL to it and all below it."""
	family = tree.family(process)
	if not ask_to_end(process, grace_seconds):
		tree.kill(family)


def fix_for(kind: str) -> str:
	"""What to type to have its place taken by the manager's own."""
	return "safe-restart --wait-workers --only redis" if kind == REDIS else "safe-restart"
