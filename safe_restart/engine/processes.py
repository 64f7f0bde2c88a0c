"""Operating system processes of a bench: who is alive, whose child is whose, and killing without leaving any."""

import contextlib
import os
import socket
import time
from collections.abc import Iterable

import psutil

from .queues import Worker

# How far a pid's start may lie after the registration it is compared with: a worker registers after it booted,
# so a process that started later than its registration is another one that got the same pid.
CLOCK_SLACK_SECONDS = 2


def get(pid: int) -> psutil.Process | None:
	"""The living process with this pid; a zombie counts as gone."""
	try:
		process = psutil.Process(pid)
		return process if process.status() != psutil.STATUS_ZOMBIE else None
	except psutil.Error:
		return None


def is_alive(process: psutil.Process) -> bool:
	"""Whether this very process lives; never fooled by a pid that was given out again."""
	try:
		return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
	except psutil.Error:
		return False


def is_local(worker: Worker) -> bool:
	return worker.hostname in ("", socket.gethostname())


def of_worker(worker: Worker) -> psutil.Process | None:
	"""The living process behind a registration on this host; None for a ghost or a worker elsewhere."""
	process = get(worker.pid) if is_local(worker) else None
	if process and worker.birth:
		with contextlib.suppress(psutil.Error):
			if process.create_time() > worker.birth.timestamp() + CLOCK_SLACK_SECONDS:
				return None
	return process


def ancestors(process: psutil.Process) -> list[int]:
	"""The pid itself and those of its parents, nearest first."""
	try:
		return [process.pid, *(parent.pid for parent in process.parents())]
	except psutil.Error:
		return [process.pid]


def family(process: psutil.Process) -> list[psutil.Process]:
	"""The process and all below it: a worker with its work-horse, in whatever session that is (FACTS 1.5)."""
	try:
		return [process, *process.children(recursive=True)]
	except psutil.Error:
		return [process]


def kill(processes: Iterable[psutil.Process], wait_seconds: float = 5) -> list[psutil.Process]:
	"""SIGKILL all of them, parents first so that none starts another; returns those that still live."""
	processes = list(processes)
	for process in processes:
		with contextlib.suppress(psutil.Error):
			process.kill()  # psutil compares the start time first, so a reused pid is not hit
	deadline = time.monotonic() + wait_seconds
	while time.monotonic() < deadline and any(map(is_alive, processes)):
		time.sleep(0.01)
	return [process for process in processes if is_alive(process)]


def children(pid: int) -> set[int]:
	try:
		return {child.pid for child in psutil.Process(pid).children()}
	except psutil.Error:
		return set()


def inside(folder: os.PathLike) -> list[psutil.Process]:
	"""Every process that runs in a bench: its working directory lies inside `folder`."""
	root = os.path.join(os.fspath(folder), "")
	found = []
	for process in psutil.process_iter():
		with contextlib.suppress(psutil.Error):
			if os.path.join(process.cwd(), "").startswith(root):
				found.append(process)
	return found
