"""Overmind, over its socket: the one program for Procfiles that can replace a process without ending the others.

Its processes run in a tmux of its own. `restart NAME` sends a process group its stop signal, waits for its end and
starts it again. If a process ends for another reason, overmind ends all (start/process.go, `observe`;
start/command_center.go).
"""

import os
import re
import signal
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from ..core.bench import Bench
from ..core.errors import RestartError, Unreachable
from ..processes import tree
from ..processes.classify import OTHER
from .base import RestartMode, Service
from .foreground import Foreground

ANSWER_TIMEOUT_SECONDS = 5


class Overmind(Foreground):
	"""The services of a bench that one overmind runs."""

	restart_mode = RestartMode.SEQUENTIAL

	def __init__(self, bench: Bench, main: psutil.Process, address: Path):
		super().__init__(bench, main, "overmind")
		self.address = address

	def roots(self) -> Iterable[tuple[str, psutil.Process]]:
		"""The process of each line in the Procfile, which may be a shell around the service, and the line's name."""
		status = re.findall(r"^(\S+)\s+(\d+)\s+running", self.ask("status"), re.MULTILINE)
		found = [(name, int(pid), tree.get(int(pid))) for name, pid in status]
		for _, pid, process in found:
			if process is None:
				make_tmux_reap(pid)
		return [(name, process) for name, _, process in found if process]

	def signal(self, service: Service, signal_name: str) -> None:
		"""Send a signal. For TERM, overmind is asked to replace the process; if that ended by itself, all would end."""
		process = tree.get(service.pid)
		if process is None:
			return
		above = tree.ancestors(process)
		found = next((name for name, root in self.roots() if root.pid in above), None)
		if signal_name == "TERM" and found:
			self.ask(f"restart {found}")
			return
		with suppress(ProcessLookupError):
			os.kill(service.pid, signal.Signals[f"SIG{signal_name}"])

	def start_command(self, service: Service | None) -> str:
		return f"overmind restart {service.name}" if service else "overmind start"

	def where_output_is(self) -> str:
		return "`overmind echo` shows what it says"

	def ask(self, words: str) -> str:
		"""Send overmind a command and return the answer; only `status` has one. Raises Unreachable."""
		try:
			with socket.socket(socket.AF_UNIX) as connection:
				connection.settimeout(ANSWER_TIMEOUT_SECONDS)
				connection.connect(os.fspath(self.address))
				connection.sendall(f"{words}\n".encode())
				parts = iter(lambda: connection.recv(65536), b"") if words == "status" else ()
				return b"".join(parts).decode(errors="replace")
		except OSError as error:
			raise Unreachable(
				f"overmind at {self.address} does not answer ({error}); where it has ended, type `overmind start`"
			) from None


def make_tmux_reap(pid: int) -> None:
	"""Have tmux reap a zombie that it has missed.

	tmux misses the end of some processes (3.3a: 6 of 100), and overmind waits for ever for the end of a zombie
	(start/process.go, `Running`). A SIGCHLD makes tmux reap its children, and does nothing else.
	"""
	with suppress(psutil.Error, OSError):
		parent = psutil.Process(psutil.Process(pid).ppid())
		if parent.name().startswith("tmux"):
			parent.send_signal(signal.SIGCHLD)


def find_overmind(bench: Bench, tried: list[str]) -> list[Overmind]:
	"""The overmind that was started in this bench and runs services of it, as a list of at most one."""
	for process in tree.inside(bench.path):
		with suppress(psutil.Error):
			words = process.cmdline()
			if Path(words[0] if words else "").name != "overmind" or not {"start", "s"} & set(words[1:]):
				continue
			for address in addresses(process):
				manager = Overmind(bench, process, address)
				try:
					if any(service.kind != OTHER for service in manager.services()):
						return [manager]
					tried.append(f"overmind (pid {process.pid}): runs no service of this bench")
				except RestartError as error:
					tried.append(str(error))
	return []


def addresses(process: psutil.Process) -> list[Path]:
	"""The Unix sockets of a process; a relative path is one within its working directory. Raises psutil.Error."""
	ask = process.net_connections if hasattr(process, "net_connections") else process.connections
	return [Path(process.cwd(), str(one.laddr)) for one in ask("unix") if one.laddr]
