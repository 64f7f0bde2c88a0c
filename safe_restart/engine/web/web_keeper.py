"""Keeps a bench's gunicorn running, and replaces it on SIGHUP without refusing a request.

    python web_keeper.py [python -m] gunicorn -b 127.0.0.1:8000 …

The keeper holds the listening socket and hands it to gunicorn. On SIGHUP the new code is tried first, with one worker
and on a private address only, so that no visitor meets it. Where that answers as the old one does, a second gunicorn is
started on the shared socket and a private address; when it has answered there, the first one is asked to finish its
requests and to stop. New code that does not answer so is turned away, and the old gunicorn stays.

`safe-restart setup web` copies this file into the bench's config folder, so that the web depends on no app. It needs
nothing but Python's standard library, and writes what it does into a JSON file beside itself.
"""

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress

# A Frappe boots in 1 to 10 s, on a cold disk or a busy machine in 40; the old one serves meanwhile.
BOOT_SECONDS = 90
WRONG_SECONDS = 5  # answers other than 200 that a new process may give before it is turned away
ASK_SECONDS = 5  # a process whose workers are all busy for longer counts as one that works
LEAVE_SECONDS = 60  # gunicorn ends itself after its graceful timeout, 30 s; this is for one that hangs
SETTLED_SECONDS = 10  # one that dies sooner has not booted: the process manager decides about the next try
BIND_SECONDS = 70  # workers whose master was killed hold the port for half of their timeout of 120 s
POLL_SECONDS = 0.02
ASKED_SITES = 5
BACKLOG = 2048  # gunicorn's own
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)

PASSED_ON = {signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU}  # reopen logs, one worker more, one less
ENDS = {signal.SIGTERM: signal.SIGTERM, signal.SIGINT: signal.SIGQUIT, signal.SIGQUIT: signal.SIGQUIT}
HANDLED = {signal.SIGHUP, signal.SIGCHLD, *ENDS, *PASSED_ON}

libc = ctypes.CDLL(None)


class Gunicorn:
	"""One gunicorn master, with the address on which only it answers. Without a shared socket it is there for a trial."""

	def __init__(self, words: list[str], shared: socket.socket | None = None):
		self.is_trial = shared is None
		self.started_at = time.monotonic()
		self.asked_to_leave_at = self.answered_at = float("inf")
		self.question: socket.socket | None = None
		with socket.create_server(("127.0.0.1", 0)) as private:
			self.address = private.getsockname()
			parent, self.pid = os.getpid(), os.fork()
			if self.pid == 0:
				become(words, parent, (private,) if shared is None else (shared, private))

	def leave(self, number: int = signal.SIGTERM) -> None:
		self.asked_to_leave_at = min(self.asked_to_leave_at, time.monotonic())
		os.kill(self.pid, number)

	@property
	def has_settled(self) -> bool:
		return time.monotonic() - self.started_at > SETTLED_SECONDS

	def answer(self, site: str, wait_seconds: float = 0) -> int:
		"""Ping a site: the HTTP status, 0 for none. Without a wait the question stays open for the next call."""
		said: list[bytes] = []
		with suppress(OSError):
			if not self.question:
				self.question = socket.create_connection(self.address, timeout=ASK_SECONDS)
				ping = f"GET /api/method/ping HTTP/1.0\r\nHost: {site or 'localhost'}\r\n\r\n"
				self.question.sendall(ping.encode())
			if select.select([self.question], [], [], wait_seconds)[0]:
				said = self.question.recv(64).split()
			elif not wait_seconds:
				return 0
		if self.question:
			self.question.close()
			self.question = None
		return int(said[1]) if len(said) > 1 and said[1].isdigit() else 0


class Keeper:
	"""One gunicorn that serves, at most one candidate for its place, and those that were asked to leave."""

	def __init__(self, words: list[str], status_path: str):
		signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)  # taken one at a time, in `handle_signal`
		libc.prctl(PR_SET_CHILD_SUBREAPER, 1)  # workers whose master was killed become ours
		self.words, self.status_path = words, status_path
		self.shared = listen_when_free(words)
		self.candidate: Gunicorn | None = None
		self.leaving: list[Gunicorn] = []
		self.is_asked = self.is_ending = False
		self.proof = ""
		self.swap: dict = {}
		self.serving: Gunicorn | None = Gunicorn(words, self.shared)
		self.write_status()

	def run(self) -> int:
		"""Serve until asked to end; returns the exit code."""
		while True:
			self.handle_signal()
			self.reap()
			if self.is_ending:
				if not self.all:
					return 0
			elif not (self.serving or self.candidate):
				return 1
			elif self.candidate:
				self.judge()
			elif self.is_asked:
				self.begin_swap()

	def handle_signal(self) -> None:
		"""Wait for the next signal, for POLL_SECONDS only while something is under way, and act on it."""
		is_calm = not (self.candidate or self.leaving or self.is_asked)
		received = signal.sigwaitinfo(HANDLED) if is_calm else signal.sigtimedwait(HANDLED, POLL_SECONDS)
		number = received.si_signo if received else None
		self.is_asked |= number == signal.SIGHUP
		if number in PASSED_ON and self.serving:
			os.kill(self.serving.pid, number)
		if number in ENDS:
			self.is_ending = True
			for one in self.all:
				one.leave(ENDS[number])

	@property
	def all(self) -> list[Gunicorn]:
		return [one for one in (self.serving, self.candidate, *self.leaving) if one]

	def begin_swap(self) -> None:
		self.is_asked = False
		self.swap = {"began": time.monotonic(), "ended": None, "problem": ""}
		self.proof = self.find_proof()
		self.start_candidate("tries the new code", [*self.words, "-w", "1"])

	def find_proof(self) -> str:
		"""Find a site that the new process must answer with 200, since the old one does; empty where there is none."""
		sites = sorted(one.name for one in os.scandir() if os.path.exists(f"{one.name}/site_config.json"))
		for site in [site for site in sites if not is_in_maintenance(site)][:ASKED_SITES]:
			if self.serving.answer(site, ASK_SECONDS) in (200, 0):
				return site
		return ""

	def start_candidate(self, what: str, words: list[str], shared: socket.socket | None = None) -> None:
		try:
			self.candidate = Gunicorn(words, shared)
		except OSError as error:  # such as no memory for a process; the old one has what it needs
			self.end_swap(f"could not be started: {error}")
			return
		say(f"gunicorn {self.candidate.pid} {what}")
		self.write_status()

	def judge(self) -> None:
		"""Take the new one, turn it away, or wait for its next answer. After its trial, the new code is started to stay."""
		new, now = self.candidate, time.monotonic()
		status = new.answer(self.proof)
		if status:
			new.answered_at = min(new.answered_at, now)
		if status == 200 or (status and not self.proof):
			self.start_to_stay() if new.is_trial else self.promote()
		elif status and now - new.answered_at > WRONG_SECONDS:
			self.turn_away(f"answered {status} for site {self.proof}, which the old one answers with 200")
		elif now - new.started_at > BOOT_SECONDS:
			self.turn_away(f"did not answer within {BOOT_SECONDS} s")

	def start_to_stay(self) -> None:
		self.dismiss_candidate()
		self.start_candidate("starts, since the new code works", self.words, self.shared)

	def promote(self) -> None:
		if self.serving:
			self.leaving.append(self.serving)
			self.serving.leave()
		self.serving = self.candidate
		say(f"gunicorn {self.serving.pid} serves")
		self.end_swap("")

	def turn_away(self, problem: str) -> None:
		say(f"the new gunicorn {self.candidate.pid} {problem}; it was ended")
		self.dismiss_candidate()
		self.end_swap(problem)

	def dismiss_candidate(self) -> None:
		self.leaving.append(self.candidate)
		self.candidate.leave(signal.SIGQUIT)  # at once: it has no request of a visitor
		self.candidate = None

	def end_swap(self, problem: str) -> None:
		self.candidate = None
		self.swap |= {"ended": time.monotonic(), "problem": problem}
		self.write_status()

	def reap(self) -> None:
		"""Notice which gunicorns have ended, and kill those that hang."""
		for one in self.leaving:
			if time.monotonic() - one.asked_to_leave_at > LEAVE_SECONDS:
				os.kill(one.pid, signal.SIGKILL)
		ended = ended_children()
		gone = {one: ended[one.pid] for one in self.all if one.pid in ended}
		if not gone:
			return
		self.leaving = [one for one in self.leaving if one not in gone]
		self.end_workers_without_master(gently=self.serving in gone and self.serving.has_settled)
		if self.candidate in gone:
			problem = f"ended with {gone[self.candidate]} before it answered"
			say(f"the new gunicorn {self.candidate.pid} {problem}")
			self.end_swap(problem)
		if self.serving in gone:
			self.lose(self.serving, gone[self.serving])
		self.write_status()

	def lose(self, one: Gunicorn, exit_code: int) -> None:
		"""Replace the one that served and has ended; requests wait at the shared socket until the next one is there."""
		self.serving = None
		if self.is_ending:
			return
		say(f"gunicorn {one.pid} ended with {exit_code}")
		if one.has_settled and (not self.candidate or self.candidate.is_trial):
			self.serving = Gunicorn(self.words, self.shared)

	def end_workers_without_master(self, gently: bool) -> None:
		"""End workers whose master was killed: they would serve old code, and hold the port against the next keeper."""
		# Where this cannot be read, they notice by themselves, only later.
		with suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as file:
			for pid in set(map(int, file.read().split())) - {one.pid for one in self.all}:
				os.kill(pid, signal.SIGTERM if gently else signal.SIGKILL)

	def write_status(self) -> None:
		"""Write the status file, whole or not at all; serving goes on where it cannot be written."""
		serving = self.serving.pid if self.serving else None
		leaving = [one.pid for one in self.leaving]
		status = {"pid": os.getpid(), "serving": serving, "leaving": leaving, "swap": self.swap}
		try:
			with open(f"{self.status_path}.new", "w") as file:
				json.dump(status, file)
			os.replace(f"{self.status_path}.new", self.status_path)
		except OSError as error:
			say(f"{self.status_path} cannot be written: {error}")


def ended_children() -> dict[int, int]:
	"""Exit codes of the children that have ended since, by pid."""
	ended = {}
	with suppress(ChildProcessError):  # where there is no child at all
		while (found := os.waitpid(-1, os.WNOHANG))[0]:
			ended[found[0]] = os.waitstatus_to_exitcode(found[1])
	return ended


def become(words: list[str], parent: int, sockets: tuple[socket.socket, ...]) -> None:
	"""Turn this child into gunicorn. It ends when its keeper does, since it would hold the port as an orphan."""
	try:
		libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
		for one in sockets:
			os.set_inheritable(one.fileno(), True)
		signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
		# Beside an inherited socket gunicorn ignores any address (gunicorn.sock), so its own gives way.
		at = words.index("-b")
		binds = [word for one in sockets for word in ("-b", f"fd://{one.fileno()}")]
		if os.getppid() == parent:
			os.execvp(words[0], [*words[:at], *binds, *words[at + 2 :]])
	except OSError as error:
		say(f"{words[0]} cannot be run: {error}")
	finally:
		os._exit(127)


def listen_when_free(words: list[str]) -> socket.socket:
	"""Listen on gunicorn's own address, which an earlier web process may still hold. Raises OSError after BIND_SECONDS."""
	host, _, port = words[words.index("-b") + 1].rpartition(":")
	deadline = time.monotonic() + BIND_SECONDS
	while True:
		try:
			return socket.create_server((host, int(port)), backlog=BACKLOG)
		except OSError as error:
			if time.monotonic() > deadline:
				raise
			if signal.sigtimedwait(ENDS, 0.5):
				sys.exit(0)
			say(f"{host}:{port} is not free ({error}); trying again")


def is_in_maintenance(site: str) -> bool:
	"""Whether a site's configuration says so now: it then answers 503, however well the new process works."""
	for path in (f"{site}/site_config.json", "common_site_config.json"):
		with suppress(OSError, ValueError), open(path) as file:
			config = json.load(file)
			if "maintenance_mode" in config:
				return bool(config["maintenance_mode"])
	return False


def say(text: str) -> None:
	print(f"[web_keeper {os.getpid()}] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
	sys.exit(Keeper(sys.argv[1:], os.path.splitext(os.path.abspath(__file__))[0] + ".json").run())
