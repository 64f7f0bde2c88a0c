"""Which process is behind a worker's registration in Redis."""

import contextlib
import socket

import psutil

from ..processes import tree
from ..processes.classify import WORKERS, kind_of
from ..rq.snapshot import Worker

# How far a pid's start may lie after the registration it is compared with: a worker registers after it booted,
# so a process that started later than its registration is another one that got the same pid.
CLOCK_SLACK_SECONDS = 2


def is_local(worker: Worker) -> bool:
	return worker.hostname in ("", socket.gethostname())


def of_worker(worker: Worker) -> psutil.Process | None:
	"""The living process behind a registration on this host; None for a ghost or a worker elsewhere.

	The clock may have been set since the worker registered, which moves the start of its process. So a start
	after the registration proves another process only where that is no worker.
	"""
	process = tree.get(worker.pid) if is_local(worker) else None
	if process and worker.birth:
		with contextlib.suppress(*tree.VANISHED):
			is_later = process.create_time() > worker.birth.timestamp() + CLOCK_SLACK_SECONDS
			if is_later and not has_command_of(process, worker):
				return None
	return process


def has_command_of(process: psutil.Process, worker: Worker) -> bool:
	"""Whether its command is that of a worker, or the title that RQ gives this one."""
	with contextlib.suppress(*tree.VANISHED):
		command = " ".join(process.cmdline())
		return worker.name in command if command.startswith("rq:") else kind_of(command) == WORKERS
	return False
