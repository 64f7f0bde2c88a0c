"""Work-horses and workers that no process manager runs any more."""

import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

from ..processes import tree
from ..processes.classify import WORKERS, is_wrapper, kind_of
from ..rq.snapshot import Job
from .fleet import FleetReader

# A horse is forked right before its job is marked as started.
HORSE_START_SECONDS = 5
ORPHAN_PAUSE_SECONDS = 0.1


def find_orphans(fleet_reader: FleetReader) -> list[psutil.Process]:
	"""Work-horses and workers of this bench that no manager keeps, seen twice: a horse that ends while it is looked at
	has lost its parents too."""
	first = look_for_orphans(fleet_reader)
	if not first:
		return []
	time.sleep(ORPHAN_PAUSE_SECONDS)
	return [process for process in look_for_orphans(fleet_reader) if process in first]


def look_for_orphans(fleet_reader: FleetReader) -> list[psutil.Process]:
	services = fleet_reader.manager.services()
	managed = {service.pid for service in services if service.pid}
	commands = [service.command for service in services if service.kind == WORKERS and service.command]
	orphans = []
	for process in tree.inside(fleet_reader.bench.path):
		with suppress(psutil.Error):
			command = process.cmdline()
			looks_alike = kind_of(" ".join(command)) == WORKERS or command[:1] == ["rq:"]
			if (
				commands
				and looks_alike
				and not is_wrapper(command)
				and not managed & set(tree.ancestors(process))
			):
				orphans.append(process)
	return orphans


def orphan_of(job: Job, orphans: Iterable[psutil.Process]) -> psutil.Process | None:
	"""The orphan that may be running this job: it was forked when the job started."""
	for process in orphans:
		with suppress(psutil.Error):
			if not job.started_at:
				return process
			if abs(process.create_time() - job.started_at.timestamp()) < HORSE_START_SECONDS:
				return process
	return None
