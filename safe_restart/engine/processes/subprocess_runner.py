"""Running a program of the bench: its output is streamed, and it can be ended together with all that it started."""

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
TERM_SECONDS = 10  # Frappe itself ends at once on SIGTERM; this is for programs that a patch started
KILL_ROUNDS = 3  # a process can start another one while it is being killed
UNFINISHED_SECONDS = 1  # a line that has no end for this long is shown as it is
LINE_BYTES = 4000
PIPE_BYTES = 65536  # all that a pipe holds (pipe(7)): one read of this size empties it
TAIL_LINES = 20
MARK = "SAFE_RESTART_PROGRAM"  # a variable that all its descendants inherit, in whatever group or session


class SubprocessRunner:
	"""One program in `sites/` of a bench, in a session of its own. Raises RestartError where it cannot be started.

	lines: gets its output, standard error included
	environment: variables for it, beside those of this process
	"""

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
		"""Pass on the program's output until it ends. Returns its exit code and None, or None and why it was ended.

		why_end: called about 5 times a second; where it returns a reason, the program is ended. What it raises ends the
		    program too.
		"""
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
		"""Pass on what the program writes within `seconds`; returns earlier where the program ends."""
		until = time.monotonic() + seconds
		while (left := until - time.monotonic()) > 0 and not self.output.closed:
			self.read_once(left)
		if left > 0:
			self.wait(left)
		self.lines.show_unfinished()

	def read_once(self, seconds: float) -> None:
		"""Wait for output for at most `seconds`, and pass on what one read returns."""
		poller = select.poll()
		poller.register(self.output, select.POLLIN)
		if not poller.poll(seconds * 1000):
			return
		if chunk := os.read(self.output.fileno(), PIPE_BYTES):
			self.lines.feed(chunk)
		else:
			self.output.close()

	def read_rest(self) -> None:
		"""Pass on what the program wrote last, without reading to the end of the pipe: a child may keep that open."""
		if not self.output.closed:
			self.read_once(0)
		self.lines.finish()

	def wait(self, seconds: float) -> None:
		"""Wait for the end of the program, for at most `seconds`; sleep that long where it has ended already."""
		if self.process.poll() is None:
			with suppress(subprocess.TimeoutExpired):
				self.process.wait(seconds)
		else:
			time.sleep(seconds)

	def end(self) -> None:
		"""Send SIGTERM to the program's process group and, TERM_SECONDS later, SIGKILL to all that is left of it."""
		known, until = self.family(), time.monotonic() + TERM_SECONDS
		try:
			self.signal_group(signal.SIGTERM)
			while self.signal_group(0) and time.monotonic() < until:
				self.read(READ_SECONDS)
		finally:
			self.kill(known)

	def signal_group(self, number: int) -> bool:
		"""Send a signal to all processes of its group, or none for number 0; False where the group is empty."""
		self.process.poll()
		try:
			os.killpg(self.process.pid, number)
		except OSError:
			return False
		return True

	def kill(self, known: list[psutil.Process]) -> None:
		"""Kill these processes and all that the program has started; its output says so where some survive."""
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
		"""The program, all processes below it, and others of its session or with its mark."""
		alive = self.process.poll() is None  # once it is reaped, another process can get its pid
		found = tree.family(psutil.Process(self.process.pid)) if alive else []
		for one in psutil.process_iter():
			with suppress(psutil.Error, OSError):
				in_session = alive and os.getsid(one.pid) == self.process.pid
				if in_session or one.environ().get(MARK) == self.mark:
					found.append(one)
		return found


def as_owner(bench: Bench) -> tuple[dict[str, str], dict[str, Any]]:
	"""Environment and options for Popen with which root starts a program as the bench's owner.

	Otherwise logs and locks would become root's. `bench` does the same (bench.cli.change_uid,
	bench.utils.drop_privileges), but reads the user from its own configuration.
	"""
	folder, environment = bench.sites_path.stat(), dict(os.environ)
	if os.geteuid() != 0 or folder.st_uid == 0:
		return environment, {}
	with suppress(KeyError):  # a container may not know its owner by name
		environment["HOME"] = pwd.getpwuid(folder.st_uid).pw_dir
	return environment, {"user": folder.st_uid, "group": folder.st_gid, "extra_groups": []}


def cut(pending: bytes) -> bytes:
	"""As much of an unfinished line as is needed to show it, with the carriage return that may end it."""
	is_returned = len(pending) > LINE_BYTES + 1 and pending.endswith(b"\r")
	return pending[: LINE_BYTES + 1] + b"\r" * is_returned


class OutputLines:
	"""Splits the output of a process into lines and passes them on as a terminal would show them, without blank ones.

	A carriage return overwrites its line, as in Frappe's progress bars (frappe.utils.update_progress_bar). A line is
	cut at LINE_BYTES. A line without an end is passed on in parts, one each UNFINISHED_SECONDS.

	on_line: gets each line
	tail: the last TAIL_LINES lines
	"""

	def __init__(self, on_line: Callable[[str], None]):
		self.on_line = on_line
		self.tail: deque[str] = deque(maxlen=TAIL_LINES)
		self.pending = b""
		self.pending_since = 0.0

	def feed(self, chunk: bytes) -> None:
		"""Take the next bytes of the output."""
		is_new = not self.pending or b"\n" in chunk
		*lines, pending = (self.pending + chunk).split(b"\n")
		overwritten = pending.rstrip(b"\r").rfind(b"\r") + 1
		self.pending = cut(pending[overwritten:])
		for line in lines:
			self.emit(line)
		if is_new:  # only now, as the caller may have taken long with the lines before
			self.pending_since = time.monotonic()

	def show_unfinished(self) -> None:
		"""Pass on a line that has had no end for UNFINISHED_SECONDS."""
		if self.pending and time.monotonic() - self.pending_since >= UNFINISHED_SECONDS:
			self.finish()

	def finish(self) -> None:
		"""Pass on the last line, which may have no end."""
		pending, self.pending = self.pending, b""
		self.emit(pending)

	def emit(self, line: bytes) -> None:
		"""Pass on one line."""
		line = line.rstrip(b"\r").rpartition(b"\r")[2]
		text = line[:LINE_BYTES].decode(errors="replace").rstrip() + "…" * (len(line) > LINE_BYTES)
		if text:
			self.tail.append(text)
			self.on_line(text)
