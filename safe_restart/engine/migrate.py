"""Running `bench migrate`: streamed, bounded in time, and gone with all it started when it is ended."""

import fcntl
import os
import pwd
import select
import signal
import subprocess
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from . import processes
from .bench import Bench
from .errors import RestartError

LOOK_SECONDS = 0.2
TERM_SECONDS = 10  # Frappe itself ends at once on SIGTERM; this is for what a patch started
KILL_ROUNDS = 3  # a process can start another one while it is being killed
UNFINISHED_SECONDS = 1  # how long a line may lack its end before it is shown as far as it has come
LINE_BYTES = 4000
PIPE_BYTES = 65536  # all that a pipe holds (pipe(7)): one read of this size empties it
TAIL_LINES = 20
MARK = "SAFE_RESTART_MIGRATION"  # inherited by whatever a migration starts, in whatever group or session

TIMED_OUT, STOPPED = "timed out", "stopped"


def running_elsewhere(bench: Bench, sites: Sequence[str]) -> str | None:
	"""A sentence where one of the sites is being migrated now, by whomever; leaves no trace.

	`bench migrate` holds `locks/bench_migrate.lock` (frappe.migrate.SiteMigration.run, 15 and 16) as above.
	"""
	for site in sites:
		path = bench.sites_path / site / "locks" / "bench_migrate.lock"
		try:
			if is_locked(path):
				return (
					f"Site {site} is being migrated by another process, which holds {path}. "
					"Wait until that has ended, then try again."
				)
		except OSError as error:
			return f"Whether site {site} is being migrated cannot be told ({error}). Run this as the bench's owner."
	return None


def is_locked(path: Path) -> bool:
	try:
		handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
	except FileNotFoundError:
		return False
	try:
		# Held for microseconds, and a migration that starts just then tries again for 1 s.
		fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
		return False
	except BlockingIOError:
		return True
	finally:
		os.close(handle)


@dataclass(frozen=True)
class Result:
	"""How a migration went.

	`exit_code` is that of the last run, negative where a signal ended it, None where we did; `tail` holds the last 20
	lines of what it wrote.
	"""

	exit_code: int | None
	timed_out: bool
	was_stopped: bool
	seconds: float
	tail: tuple[str, ...]

	@property
	def is_ok(self) -> bool:
		return self.exit_code == 0


def command(bench: Bench, sites: Sequence[str] | None) -> list[str]:
	"""The command line that migrates one site, or with None all; to be run in `sites/`.

	It takes one site: frappe.utils.bench_helper.get_sites knows a name and `all`, and no list (15 to 17). Raises
	ValueError for more or none. Without env/bin/bench it is what `bench` itself executes (bench.cli.frappe_cmd).
	"""
	(site,) = ("all",) if sites is None else sites
	program = bench.path / "env/bin/bench"
	if program.is_file() and os.access(program, os.X_OK):
		start = [str(program)]
	else:
		start = [str(bench.path / "env/bin/python"), "-m", "frappe.utils.bench_helper", "frappe"]
	return [*start, "--site", site, "migrate"]


def run_migration(
	bench: Bench,
	sites: Sequence[str] | None,
	timeout_seconds: float,
	on_line: Callable[[str], None],
	is_asked_to_stop: Callable[[], bool] = lambda: False,
) -> Result:
	"""Migrate the sites one after the other, or with None all in one run, and stop at the first that fails.

	`on_line` gets each line as it comes, a progress bar once a second. Once `timeout_seconds` for all of them are over
	or `is_asked_to_stop` says so, which is asked 5 times a second, the migration gets SIGTERM and 10 s later it and all
	it started get SIGKILL; so too where a callback raises. Raises RestartError where it cannot be started.
	"""
	began = time.monotonic()
	lines, exit_code, why = Lines(on_line), 0, None

	def why_end() -> str | None:
		if time.monotonic() - began >= timeout_seconds:
			return TIMED_OUT
		return STOPPED if is_asked_to_stop() else None

	for choice in [None] if sites is None else [[site] for site in sites]:
		if why := why_end():
			exit_code = None
			break
		exit_code, why = Migration(bench, command(bench, choice), lines).follow(why_end)
		if exit_code != 0:
			break
	seconds = time.monotonic() - began
	return Result(exit_code, why == TIMED_OUT, why == STOPPED, seconds, tuple(lines.tail))


class Migration:
	"""One `bench migrate`, in a session of its own. Raises RestartError where it cannot be started."""

	def __init__(self, bench: Bench, words: list[str], lines: "Lines"):
		self.lines, self.mark = lines, uuid.uuid4().hex
		environment, identity = as_owner(bench)
		try:
			self.process = subprocess.Popen(
				words,
				cwd=bench.sites_path,
				env=environment | {"PYTHONUNBUFFERED": "1", MARK: self.mark},
				stdin=subprocess.DEVNULL,
				stdout=subprocess.PIPE,
				stderr=subprocess.STDOUT,
				bufsize=0,
				start_new_session=True,
				**identity,
			)
		except (OSError, subprocess.SubprocessError) as error:
			raise RestartError(
				f"`{' '.join(words)}` could not be started ({error}), so it migrated nothing. See that {words[0]} is there "
				"and can be run by this user, then try again."
			) from None

	def follow(self, why_end: Callable[[], str | None]) -> tuple[int | None, str | None]:
		"""Its exit code once it has ended; or None, and why we ended it."""
		why = None
		try:
			while self.process.poll() is None and not (why := why_end()):
				self.read(LOOK_SECONDS)
			if why:
				self.end()
			self.read_rest()
		except BaseException:
			if self.process.poll() is None:
				self.end()
			raise
		finally:
			self.process.stdout.close()
		return (None, why) if why else (self.process.returncode, None)

	def read(self, seconds: float) -> None:
		"""Pass on what comes within `seconds`, which end however silent it is; sooner where the process does."""
		until = time.monotonic() + seconds
		while (left := until - time.monotonic()) > 0 and not self.process.stdout.closed:
			self.read_once(left)
		if left > 0:
			self.wait(left)
		self.lines.show_unfinished()

	def read_once(self, seconds: float) -> None:
		pipe, poller = self.process.stdout, select.poll()
		poller.register(pipe, select.POLLIN)
		if not poller.poll(seconds * 1000):
			return
		if chunk := os.read(pipe.fileno(), PIPE_BYTES):
			self.lines.feed(chunk)
		else:
			pipe.close()

	def read_rest(self) -> None:
		"""What it wrote last. Not to the end of the pipe, which a child that goes on may keep open for ever."""
		if not self.process.stdout.closed:
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
				self.read(LOOK_SECONDS)
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
			left = [one for one in dict.fromkeys(known + self.family()) if processes.is_alive(one)]
			survivors = processes.kill(left)
			if not left:
				break
		if survivors:
			pids = ", ".join(str(one.pid) for one in survivors)
			self.lines.emit(
				f"Part of the migration cannot be killed and may still write: pids {pids}".encode()
			)

	def family(self) -> list[psutil.Process]:
		"""Itself, all below it, and what left its tree but not its session, or carries its mark."""
		alive = self.process.poll() is None  # once reaped, its pid can be given to another process
		found = processes.family(psutil.Process(self.process.pid)) if alive else []
		for one in psutil.process_iter():
			with suppress(psutil.Error, OSError):
				in_session = alive and os.getsid(one.pid) == self.process.pid
				if in_session or one.environ().get(MARK) == self.mark:
					found.append(one)
		return found


def as_owner(bench: Bench) -> tuple[dict[str, str], dict]:
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


class Lines:
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
