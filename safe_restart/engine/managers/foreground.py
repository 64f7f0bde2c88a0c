"""Benches in the foreground: `bench start`, which is honcho, and other programs that read the bench's Procfile.

All of them end everything as soon as one process ends. honcho sends SIGTERM to the others and SIGKILL 5 s later
(honcho/manager.py, `ProcessManager.loop`, KILL_WAIT). So nothing that they run is ever stopped or signalled from
here: a person restarts all of it, at a time when no job runs. Only overmind can replace single processes
(overmind.py).
"""

import os
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from ..core.bench import Bench
from ..core.errors import RestartError
from ..processes import tree
from ..processes.classify import OTHER, is_inside, is_wrapper, kind_of
from .base import Drawback, ProcessManager, RestartMode, Service

PROGRAMS = ("honcho", "foreman", "forego", "goreman", "hivemind")
# The variables in which honcho and foreman give a process its name in the Procfile.
NAMES = ("HONCHO_PROCESS_NAME", "PS")
GRACE_SECONDS = 5
# Reading all processes of a machine takes about 10 ms, and no service appears by itself while all others live.
RESCAN_SECONDS = 0.25


class Foreground(ProcessManager):
	"""The services of a bench that one program in the foreground runs. Each is a process that was found."""

	restart_mode = RestartMode.MANUAL

	def __init__(self, bench: Bench, main: psutil.Process, name: str):
		self.bench = bench
		self.main = main
		self.name = name
		self.seen: list[tuple[Service, psutil.Process]] = []
		self.seen_at = 0.0

	@property
	def start_words(self) -> str:
		"""What a person types to start all services."""
		return {"honcho": "bench start", "hivemind": "hivemind"}.get(self.name, f"{self.name} start")

	def services(self) -> list[Service]:
		"""The services that live; one that has ended is not known any more.

		Where the program in the foreground has ended, they are those of the one that was started after it, if any.
		"""
		is_old = time.monotonic() - self.seen_at > RESCAN_SECONDS
		if is_old or not all(tree.is_alive(process) for _, process in self.seen):
			if not tree.is_alive(self.main):
				self.main = max(mains(self.bench), key=size, default=self.main)
			self.seen, self.seen_at = self.find_services(), time.monotonic()
		return [service for service, _ in self.seen]

	def find_services(self) -> list[tuple[Service, psutil.Process]]:
		"""Find all services that live now, each with its process."""
		found: list[tuple[Service, psutil.Process]] = []
		for label, root in self.roots():
			for kind, process in topmost(root):
				with suppress(psutil.Error, OSError):
					name = label or name_of(process) or kind
					if any(name == service.name for service, _ in found):
						name = f"{name}:{process.pid}"
					found.append((as_service(process, kind, name), process))
		return found

	def roots(self) -> Iterable[tuple[str, psutil.Process]]:
		"""The processes below which services are, each with the service's name where that is known."""
		return [("", self.main)]

	def signal(self, service: Service, signal_name: str) -> None:
		"""Signal a process that this program does not run, such as a worker that an earlier one left behind."""
		process = tree.get(service.pid)
		if process and self.main.pid in tree.ancestors(process):
			raise RestartError(
				f"{service.name} (pid {service.pid}) was not signalled, since {self.name} would stop everything."
			)
		with suppress(ProcessLookupError):
			os.kill(service.pid, signal.Signals[f"SIG{signal_name}"])

	def stop(self, service: Service) -> None:
		raise RestartError(f"{service.name} was not stopped, since {self.name} would stop everything.")

	def start(self, service: Service) -> None:
		raise RestartError(f"{self.name} can start {service.name} only with all others: {self.start_words}")

	def start_command(self, service: Service | None) -> str:
		return self.start_words

	def where_output_is(self) -> str:
		return f"what it says is shown where {self.name} (pid {self.main.pid}) runs"

	def drawbacks(self, longest_seconds: Mapping[str, int]) -> list[Drawback]:
		return [
			Drawback(
				f"{self.name} (pid {self.main.pid}) runs this bench in the foreground: Ctrl-C there kills running jobs after "
				f"{GRACE_SECONDS} s",
				"`safe-restart` first, which waits until no job runs",
			)
		]


def find_foreground(bench: Bench, tried: list[str]) -> list[ProcessManager]:
	"""The program in the foreground that runs this bench, found through what it runs, as a list of at most one."""
	if not (found := mains(bench)):
		tried.append(f"foreground: no {', '.join(PROGRAMS)} or overmind runs here")
		return []
	main = max(found, key=size)
	return [Foreground(bench, main, program_of(main))]


def mains(bench: Bench) -> list[psutil.Process]:
	"""Programs that run services of this bench in the foreground, in the bench itself."""
	found = []
	for process in tree.inside(bench.path):
		with suppress(psutil.Error):
			if kind_of(" ".join(process.cmdline())) == OTHER:
				continue
			# The topmost counts, since the children that honcho has, one for each process, look like honcho too.
			above = [one for one in process.parents() if program_of(one) and runs_in(bench, one)]
			if above and above[-1] not in found:
				found.append(above[-1])
	return found


def size(main: psutil.Process) -> int:
	"""How many services a program runs. A child of a honcho that was killed looks like a honcho too, and runs one."""
	return len(topmost(main))


def program_of(process: psutil.Process) -> str:
	"""Which of PROGRAMS a process is; empty where it is none. foreman calls itself `foreman: master`."""
	with suppress(psutil.Error):
		names = [Path(word).name.rstrip(":") for word in " ".join(process.cmdline()).split()[:3]]
		return next((name for name in names if name in PROGRAMS), "")
	return ""


def runs_in(bench: Bench, process: psutil.Process) -> bool:
	"""Whether a process runs in the bench, or its command names a path in it."""
	with suppress(psutil.Error, OSError):
		words = process.cmdline()
		return is_inside(bench.path, process.cwd()) or any(
			word.startswith("/") and is_inside(bench.path, word) for word in words[1:]
		)
	return False


def topmost(root: psutil.Process) -> list[tuple[str, psutil.Process]]:
	"""Kind and process of each service at or below `root`, without its children; none where `root` has ended."""
	below: set[int] = set()
	found = []
	for process in tree.family(root):  # parents before their children
		with suppress(psutil.Error):
			words = process.cmdline()
			kind = OTHER if is_wrapper(words) else kind_of(" ".join(words))
			if process.ppid() in below:
				below.add(process.pid)
			elif kind != OTHER:
				below.add(process.pid)
				found.append((kind, process))
	return found


def name_of(process: psutil.Process) -> str:
	"""The name of a process in the Procfile; empty where it is unknown.

	Redis overwrites its own environment, so that of its parent, the shell around it, is read too.
	"""
	with suppress(psutil.Error):
		for one in filter(None, (process, process.parent())):
			environment = one.environ()
			if found := next((environment[name] for name in NAMES if name in environment), ""):
				return found
	return ""


def as_service(process: psutil.Process, kind: str, name: str) -> Service:
	"""The service that a process is. Raises psutil.Error where the process has ended."""
	return Service(
		name=name,
		kind=kind,
		state="running",
		pid=process.pid,
		started_at=process.create_time(),
		stop_wait_seconds=GRACE_SECONDS,
		command=" ".join(process.cmdline()),
		log_paths=log_paths(process),
	)


def log_paths(process: psutil.Process) -> tuple[str, ...]:
	"""The files that a process has as its output, such as that of `bench worker 1>> logs/worker.log` in a Procfile."""
	paths = []
	for number in (1, 2):
		with suppress(OSError):
			path = os.readlink(f"/proc/{process.pid}/fd/{number}")
			if path not in paths and os.path.isfile(path):
				paths.append(path)
	return tuple(paths)
