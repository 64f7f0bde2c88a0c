"""The process behind a worker's registration in Redis."""

import contextlib
import socket

import psutil

from ..processes import tree
from ..processes.classify import WORKERS, kind_of
from ..rq.snapshot import Worker

# How far the start of a process may lie after the registration that it is compared with. A worker registers after its
# process has started, so a process that started later than that is another one, which got the same pid.
CLOCK_SLACK_SECONDS = 2


def is_local(worker: Worker) -> bool:
	"""Whether the worker runs on this host, as one does that registered without a host name."""
	return worker.hostname in ("", socket.gethostname())


def of_worker(worker: Worker) -> psutil.Process | None:
	"""The living process behind a registration; None where the registration is stale, or of a worker on another host.

	A system clock that was set since the worker registered moves the start of its process. So a start after the
	registration proves that this is another process only where that process is no worker.
	"""
	process = tree.get(worker.pid) if is_local(worker) else None
	if process and worker.birth:
		with contextlib.suppress(*tree.VANISHED):
			is_later = process.create_time() > worker.birth.timestamp() + CLOCK_SLACK_SECONDS
			if is_later and not has_command_of(process, worker):
				return None
	return process


def has_command_of(process: psutil.Process, worker: Worker) -> bool:
	"""Whether the command of a process is that of a worker, or the title that RQ gives this one."""
	with contextlib.suppress(*tree.VANISHED):
		command = " ".join(process.cmdline())
		return worker.name in command if command.startswith("rq:") else kind_of(command) == WORKERS
	return False
