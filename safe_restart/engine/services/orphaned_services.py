"""Services left behind by a process manager that died: alive, managed by none, and in the way of their successors.

Orphaned workers are not handled here: they may have a job, and are asked to stop as programs of the fleet.
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
	"""Find orphaned services: the kind of each, and its process without children. Only kinds that the manager has too."""
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
	"""Send SIGTERM and wait until the process is gone; False where it still lives after `wait_seconds`."""
	with suppress(psutil.Error):
		process.terminate()
	return wait_until(lambda: not tree.is_alive(process), wait_seconds)


def end(process: psutil.Process, grace_seconds: float) -> None:
	"""Send SIGTERM; after the grace SIGKILL to the process and all below it."""
	family = tree.family(process)
	if not ask_to_end(process, grace_seconds):
		tree.kill(family)


def fix_for(kind: str) -> str:
	"""What to type to have an orphan of this kind replaced by the manager's own service."""
	return "safe-restart --wait-workers --only redis" if kind == REDIS else "safe-restart"
