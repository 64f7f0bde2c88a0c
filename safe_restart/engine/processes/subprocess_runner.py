"""Running a program of the bench: its output streamed, its time bounded, and gone with all it started when it is ended."""

import os
import pwd
import select
import signal
import subprocess
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any, cast

import psutil

from ..core.bench import Bench
from ..core.errors import RestartError
from . import tree

READ_SECONDS = 0.2
TERM_SECONDS = 10  # Frappe itself ends at once on SIGTERM; this is for what a patch started
KILL_ROUNDS = 3  # a process can start another one while it is being killed
UNFINISHED_SECONDS = 1  # how long a line may lack its end before it is shown as far as it has come
LINE_BYTES = 4000
PIPE_BYTES = 65536  # all that a pipe holds (pipe(7)): one read of this size empties it
TAIL_LINES = 20
MARK = "SAFE_RESTART_PROGRAM"  # inherited by whatever it starts, in whatever group or session


class SubprocessRunner:
	"""One program in `sites/` of a bench, in a session of its own. Raises RestartError where it cannot be started."""

	def __init__(
		self,
		bench: Bench,
		words: list[str],
		lines: "OutputLines",
		environment: Mapping[str, str] | None = None,
	):
		self.lines, self.mark = lines, uuid.uuid4().hex
		inherited, identity = as_owner(bench)
		try:
			self.process = subprocess.Popen(
				words,
				cwd=bench.sites_path,
				env={**inherited, **(environment or {}), "PYTHONUNBUFFERED": "1", MARK: self.mark},
				stdin=subprocess.DEVNULL,
				stdout=subprocess.PIPE,
				stderr=subprocess.STDOUT,
				bufsize=0,
				start_new_session=True,
				**identity,
			)
		except (OSError, subprocess.SubprocessError) as error:
			raise RestartError(
				f"`{' '.join(words)}` could not be started ({error}), so it did nothing. See that {words[0]} is there "
				"and can be run by this user, then try again."
			) from None

		self.output = cast(IO[bytes], self.process.stdout)  # there, since Popen was given a PIPE

	def follow(self, why_end: Callable[[], str | None]) -> tuple[int | None, str | None]:
		"""Its exit code once it has ended; or None, and why we ended it."""
		why = None
		try:
			while self.process.poll() is None and not (why := why_end()):
				self.read(READ_SECONDS)
			if why:
				self.end()
			self.read_rest()
		except BaseException:
			if self.process.poll() is None:
				self.end()
			raise
		finally:
			self.output.close()
		return (None, why) if why else (self.process.returncode, None)

	def read(self, seconds: float) -> None:
		"""Pass on what comes within `seconds`, which end however silent it is; sooner where the process does."""
		until = time.monotonic() + seconds
		while (left := until - time.monotonic()) > 0 and not self.output.closed:
			self.read_once(left)
		if left > 0:
			self.wait(left)
		self.lines.show_unfinished()

	def read_once(self, seconds: float) -> None:
		poller = select.poll()
		poller.register(self.output, select.POLLIN)
		if not poller.poll(seconds * 1000):
			return
		if chunk := os.read(self.output.fileno(), PIPE_BYTES):
			self.lines.feed(chunk)
		else:
			self.output.close()

	def read_rest(self) -> None:
		"""What it wrote last. Not to the end of the pipe, which a child that goes on may keep open for ever."""
		if not self.output.closed:
			self.read_once(0)
		self.lines.finish()

	def wait(self, seconds: float) -> None:
		if self.process.poll() is None:
			with suppress(subprocess.TimeoutExpired):
				self.process.wait(seconds)
		else:
			time.sleep(seconds)

	def end(self) -> None:
		"""SIGTERM to its process group; SIGKILL, TERM_SECONDS later, to whatever is left of it anywhere."""
		known, until = self.family(), time.monotonic() + TERM_SECONDS
		try:
			self.signal_group(signal.SIGTERM)
			while self.signal_group(0) and time.monotonic() < until:
				self.read(READ_SECONDS)
		finally:
			self.kill(known)

	def signal_group(self, number: int) -> bool:
		"""Send a signal to all in its group, 0 for none; False where the group is empty."""
		self.process.poll()
		try:
			os.killpg(self.process.pid, number)
		except OSError:
			return False
		return True

	def kill(self, known: list[psutil.Process]) -> None:
		survivors = []
		for _ in range(KILL_ROUNDS):
			left = [one for one in dict.fromkeys(known + self.family()) if tree.is_alive(one)]
			survivors = tree.kill(left)
			if not left:
				break
		if survivors:
			pids = ", ".join(str(one.pid) for one in survivors)
			self.lines.emit(f"Part of it cannot be killed and may still write: pids {pids}".encode())

	def family(self) -> list[psutil.Process]:
		"""Itself, all below it, and what left its tree but not its session, or carries its mark."""
		alive = self.process.poll() is None  # once reaped, its pid can be given to another process
		found = tree.family(psutil.Process(self.process.pid)) if alive else []
		for one in psutil.process_iter():
			with suppress(psutil.Error, OSError):
				in_session = alive and os.getsid(one.pid) == self.process.pid
				if in_session or one.environ().get(MARK) == self.mark:
					found.append(one)
		return found


def as_owner(bench: Bench) -> tuple[dict[str, str], dict[str, Any]]:
	"""Environment and Popen's options: root migrates as the bench's owner, or logs and locks would become root's.

	So does `bench` (bench.cli.change_uid, bench.utils.drop_privileges); which user that is, it reads from its own config.
	"""
	folder, environment = bench.sites_path.stat(), dict(os.environ)
	if os.geteuid() != 0 or folder.st_uid == 0:
		return environment, {}
	with suppress(KeyError):  # a container may not know its owner by name
		environment["HOME"] = pwd.getpwuid(folder.st_uid).pw_dir
	return environment, {"user": folder.st_uid, "group": folder.st_gid, "extra_groups": []}


def cut(pending: bytes) -> bytes:
	"""As much of an unfinished line as it takes to show it, with the carriage return that may end it."""
	is_returned = len(pending) > LINE_BYTES + 1 and pending.endswith(b"\r")
	return pending[: LINE_BYTES + 1] + b"\r" * is_returned


class OutputLines:
	"""Lines from what a process writes, passed on as a terminal would show them; blank ones are left out.

	A carriage return overwrites its line, as Frappe's progress bars do (frappe.utils.update_progress_bar). A line is cut
	at LINE_BYTES, and one without an end is passed on in parts, each UNFINISHED_SECONDS.
	"""

	def __init__(self, on_line: Callable[[str], None]):
		self.on_line = on_line
		self.tail: deque[str] = deque(maxlen=TAIL_LINES)
		self.pending = b""
		self.pending_since = 0.0

	def feed(self, chunk: bytes) -> None:
		is_new = not self.pending or b"\n" in chunk
		*lines, pending = (self.pending + chunk).split(b"\n")
		overwritten = pending.rstrip(b"\r").rfind(b"\r") + 1
		self.pending = cut(pending[overwritten:])
		for line in lines:
			self.emit(line)
		if is_new:  # from here on, for the caller may have taken long with the lines before it
			self.pending_since = time.monotonic()

	def show_unfinished(self) -> None:
		if self.pending and time.monotonic() - self.pending_since >= UNFINISHED_SECONDS:
			self.finish()

	def finish(self) -> None:
		pending, self.pending = self.pending, b""
		self.emit(pending)

	def emit(self, line: bytes) -> None:
		line = line.rstrip(b"\r").rpartition(b"\r")[2]
		text = line[:LINE_BYTES].decode(errors="replace").rstrip() + "…" * (len(line) > LINE_BYTES)
		if text:
			self.tail.append(text)
			self.on_line(text)
