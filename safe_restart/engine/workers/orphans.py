"""Work-horses and workers that no process manager runs any more."""

import time
from contextlib import suppress

import psutil

from ..processes import tree
from ..processes.classify import WORKERS, is_wrapper, kind_of
from .fleet import FleetReader

PAUSE_SECONDS = 0.1  # a work-horse that is about to end is gone by then


def find_orphans(fleet_reader: FleetReader) -> list[psutil.Process]:
	"""Find the work-horses and workers of this bench that run without a process manager. Each is seen twice, with a pause
	in between: a work-horse that is just ending has lost its parents too."""
	first = processes_without_manager(fleet_reader)
	if not first:
		return []
	time.sleep(PAUSE_SECONDS)
	return [process for process in processes_without_manager(fleet_reader) if process in first]


def processes_without_manager(fleet_reader: FleetReader) -> list[psutil.Process]:
	"""The processes of the bench that look like workers and have no process of the manager above them."""
	services = fleet_reader.manager.services()
	if not any(service.kind == WORKERS and service.command for service in services):
		return []  # this manager runs no worker, or they are out of reach, as in other containers
	managed = {service.pid for service in services if service.pid}
	found = []
	for process in tree.inside(fleet_reader.bench.path):
		with suppress(psutil.Error):
			if is_of_worker(process.cmdline()) and not managed & set(tree.ancestors(process)):
				found.append(process)
	return found


def is_of_worker(command: list[str]) -> bool:
	"""Whether a command is that of a worker, or the title that RQ gives to workers and work-horses."""
	is_alike = kind_of(" ".join(command)) == WORKERS or command[:1] == ["rq:"]
	return is_alike and not is_wrapper(command)
