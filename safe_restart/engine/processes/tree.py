"""Operating system processes of a bench: which live, which are children of which, and killing them."""

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, TypeVar

import psutil

from ..core import environment
from ..core.waiting import FAST_LOOK_INTERVAL_SECONDS, wait_until
from .classify import is_in_front_of, kind_of

# In how many ways a process can end while it is looked at (FACTS 6.6).
VANISHED = (psutil.Error, OSError)
INIT_NAMES = ("systemd", "init")  # of a machine, and of a user's services; both adopt orphans


P = TypeVar("P", bound="ProcessHandle")


class ProcessHandle(Protocol):
	"""What the engine asks of a process that is to end: a psutil.Process, or what represents a worker out of reach."""

	@property
	def pid(self) -> int: ...

	def is_running(self) -> bool: ...

	def status(self) -> str: ...

	def children(self: P, recursive: bool = False) -> list[P]: ...

	def kill(self) -> None: ...


def get(pid: int) -> psutil.Process | None:
	"""The living process with this pid; a zombie counts as gone."""
	try:
		process = psutil.Process(pid)
		return process if process.status() != psutil.STATUS_ZOMBIE else None
	except VANISHED:
		return None


def started_at(process: psutil.Process) -> float:
	"""When a process started, in seconds since the machine booted. Raises psutil.NoSuchProcess.

	A step of the system clock moves psutil's `create_time()`, and does not move this.
	"""
	try:
		fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
	except ProcessLookupError:
		raise psutil.NoSuchProcess(process.pid) from None
	except FileNotFoundError:
		# This is no Linux; or the process has ended, and create_time() raises.
		return process.create_time() - psutil.boot_time()
	return int(fields[19]) / os.sysconf("SC_CLK_TCK")  # proc(5): field 22


def uptime() -> float:
	"""Seconds since the machine booted, as `started_at` counts them."""
	clock = getattr(time, "CLOCK_BOOTTIME", None)
	return time.time() - psutil.boot_time() if clock is None else time.clock_gettime(clock)


def is_alive(process: ProcessHandle) -> bool:
	"""Whether a process lives, as something other than a zombie. A later process with the same pid does not count."""
	try:
		return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
	except VANISHED:
		return False


def ancestors(process: psutil.Process) -> list[int]:
	"""The pid of a process and those of its parents, nearest first."""
	try:
		return [process.pid, *(parent.pid for parent in process.parents())]
	except VANISHED:
		return [process.pid]


def orphan_root(process: psutil.Process, kind: str, names: Iterable[str]) -> psutil.Process | None:
	"""The topmost of a process and its parents below init, if it is an orphan of this kind; else None.

	An orphan has only init above it, as the process that had started it is dead. What a process manager, a terminal or
	another process has started, and is still there, is no orphan.

	names: of the manager's services. A process in the cgroup of one is no orphan: init itself runs that systemd unit.
	"""
	if os.path.basename(environment.cgroup(process.pid)) in names:
		return None
	try:
		chain = [process, *process.parents()]
		above = next((i for i, one in enumerate(chain) if one.pid == 1 or one.name() in INIT_NAMES), 0)
		root = chain[above - 1] if above else None
		is_of_kind = root and (root.pid == process.pid or kind_of(" ".join(root.cmdline())) == kind)
		return root if is_of_kind else None
	except VANISHED:
		return None


def family(process: P) -> list[P]:
	"""A process and all below it, such as a worker with its work-horse, in whatever session that is (FACTS 1.5)."""
	try:
		return [process, *process.children(recursive=True)]
	except VANISHED:
		return [process]


def kill(processes: Iterable[P], wait_seconds: float = 5) -> list[P]:
	"""Send SIGKILL to processes, wait for their end, and return those that still live.

	They are killed in the given order: parents belong first, so that none starts another process.
	"""
	processes = list(processes)
	for process in processes:
		with contextlib.suppress(*VANISHED):
			process.kill()  # psutil compares the start time first, so a later process with this pid is not killed
	wait_until(lambda: not any(map(is_alive, processes)), wait_seconds, FAST_LOOK_INTERVAL_SECONDS)
	return [process for process in processes if is_alive(process)]


def main_pid(pid: int) -> int:
	"""The pid of the process for which another one only waits, as in `sh -c 'cd … && bench worker'` or `setsid -w bench
	worker`; else the pid itself.

	A shell or the like that is signalled ends alone, and its child goes on as an orphan.
	"""
	with contextlib.suppress(*VANISHED):
		process = psutil.Process(pid)
		while len(below := process.children()) == 1 and is_in_front_of(process.cmdline(), below[0].cmdline()):
			process = below[0]
		return process.pid
	return pid


def innermost_pid(process: psutil.Process) -> int:
	"""The pid of a process in its own pid namespace, which in a container is another one than here (proc(5): NSpid)."""
	with contextlib.suppress(*VANISHED):
		status = Path(f"/proc/{process.pid}/status").read_text(errors="replace")
		found = next((line for line in status.splitlines() if line.startswith("NSpid:")), "")
		return int(found.split()[-1]) if found else process.pid
	return process.pid


def parent_pid(process: psutil.Process) -> int | None:
	with contextlib.suppress(*VANISHED):
		return process.ppid()
	return None


def children(pid: int) -> set[int]:
	"""The pids of the direct children of a process; none where it has ended."""
	try:
		return {child.pid for child in psutil.Process(pid).children()}
	except VANISHED:
		return set()


def inside(folder: os.PathLike[str]) -> list[psutil.Process]:
	"""All processes whose working directory is `folder` or lies in it."""
	root = os.path.join(os.fspath(folder), "")
	found = []
	for process in psutil.process_iter():
		# psutil 5.9 raises FileNotFoundError where a process ends in the middle of this (FACTS 6.6).
		with contextlib.suppress(*VANISHED):
			if os.path.join(process.cwd(), "").startswith(root):
				found.append(process)
	return found
