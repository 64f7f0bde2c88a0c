"""Operating system processes of a bench: who is alive, whose child is whose, and killing without leaving any."""

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

# In how many ways a process can end while it is looked at: psutil 5.9 lets the errors of /proc through.
VANISHED = (psutil.Error, OSError)
INIT_NAMES = ("systemd", "init")  # of a machine, and of a user's services, which adopts orphans too


P = TypeVar("P", bound="ProcessHandle")


class ProcessHandle(Protocol):
	"""What the engine asks of a process that is to end: a psutil.Process, or what stands for a worker out of reach."""

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
	"""When it started, in seconds since the machine booted: no step of the system clock moves that, as it moves
	`create_time()`. Raises psutil.NoSuchProcess."""
	try:
		fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
	except ProcessLookupError:
		raise psutil.NoSuchProcess(process.pid) from None
	except FileNotFoundError:
		return process.create_time() - psutil.boot_time()  # no Linux, or it is gone, which this raises
	return int(fields[19]) / os.sysconf("SC_CLK_TCK")  # proc(5): field 22


def uptime() -> float:
	"""Seconds since the machine booted, as `started_at` counts them."""
	clock = getattr(time, "CLOCK_BOOTTIME", None)
	return time.time() - psutil.boot_time() if clock is None else time.clock_gettime(clock)


def is_alive(process: ProcessHandle) -> bool:
	"""Whether this very process lives; never fooled by a pid that was given out again."""
	try:
		return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
	except VANISHED:
		return False


def ancestors(process: psutil.Process) -> list[int]:
	"""The pid itself and those of its parents, nearest first."""
	try:
		return [process.pid, *(parent.pid for parent in process.parents())]
	except VANISHED:
		return [process.pid]


def orphan_root(process: psutil.Process, kind: str, names: Iterable[str]) -> psutil.Process | None:
	"""Of the process and its parents the topmost, where that is of this kind and only init is above it: whoever had
	started it is dead. None where a manager, a terminal or anybody else still keeps it.

	names: of the manager's services. Where they are units of systemd, init itself keeps what is in their cgroups.
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
	"""The process and all below it: a worker with its work-horse, in whatever session that is (FACTS 1.5)."""
	try:
		return [process, *process.children(recursive=True)]
	except VANISHED:
		return [process]


def kill(processes: Iterable[P], wait_seconds: float = 5) -> list[P]:
	"""SIGKILL all of them, parents first so that none starts another; returns those that still live."""
	processes = list(processes)
	for process in processes:
		with contextlib.suppress(*VANISHED):
			process.kill()  # psutil compares the start time first, so a reused pid is not hit
	wait_until(lambda: not any(map(is_alive, processes)), wait_seconds, FAST_LOOK_INTERVAL_SECONDS)
	return [process for process in processes if is_alive(process)]


def main_pid(pid: int) -> int:
	"""The process behind a shell or another program that only waits for it, as with `sh -c 'cd … && bench worker'` or
	`setsid -w bench worker`; else the pid itself. Such a program that is signalled ends alone, and leaves its child to
	nobody."""
	with contextlib.suppress(*VANISHED):
		process = psutil.Process(pid)
		while len(below := process.children()) == 1 and is_in_front_of(process.cmdline(), below[0].cmdline()):
			process = below[0]
		return process.pid
	return pid


def parent_pid(process: psutil.Process) -> int | None:
	with contextlib.suppress(*VANISHED):
		return process.ppid()
	return None


def children(pid: int) -> set[int]:
	try:
		return {child.pid for child in psutil.Process(pid).children()}
	except VANISHED:
		return set()


def inside(folder: os.PathLike[str]) -> list[psutil.Process]:
	"""Every process that runs in a bench: its working directory lies inside `folder`."""
	root = os.path.join(os.fspath(folder), "")
	found = []
	for process in psutil.process_iter():
		# psutil leaves it at FileNotFoundError where a process has just ended and is still in the list
		with contextlib.suppress(*VANISHED):
			if os.path.join(process.cwd(), "").startswith(root):
				found.append(process)
	return found
