"""Keeps a bench's gunicorn running, and replaces it on SIGHUP without refusing a request.

    python web_keeper.py [python -m] gunicorn -b 127.0.0.1:8000 …

It holds the listening socket and hands it to gunicorn. On SIGHUP the new code is tried first, with one worker and on a
private address only, so that no visitor meets it. Where that answers as the old one does, a second gunicorn is started
on the shared socket and a private address; when it has answered there, the first is told to finish its requests and
leave. New code that does not answer so is turned away, and the old one stays.

`safe-restart setup web` copies this file into the bench's config folder, so that the web depends on no app. It needs
nothing but Python's standard library, and tells what it does in a JSON file beside itself.
"""

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time

# A Frappe boots in 1 to 10 s, on a cold disk or a busy machine in 40; the old one serves meanwhile.
BOOT_SECONDS = 90
WRONG_SECONDS = 5  # answers other than 200 that a new process may give before it is turned away
ASK_SECONDS = 5  # a process whose workers are all busy for longer counts as one that works
LEAVE_SECONDS = 60  # gunicorn ends itself after its graceful timeout, 30 s; this is for one that hangs
SETTLED_SECONDS = 10  # one that dies sooner has not booted: whoever keeps us decides about the next try
# Workers whose master was killed notice within half of their timeout of 120 s, and hold the port.
BIND_SECONDS = 70
LOOK_SECONDS = 0.02
ASKED_SITES = 5
BACKLOG = 2048  # gunicorn's own
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)

PASSED_ON = {signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU}  # reopen logs, one worker more, one less
ENDS = {signal.SIGTERM: signal.SIGTERM, signal.SIGINT: signal.SIGQUIT, signal.SIGQUIT: signal.SIGQUIT}
HEARD = {signal.SIGHUP, signal.SIGCHLD, *ENDS, *PASSED_ON}

libc = ctypes.CDLL(None)


class Gunicorn:
	"""One gunicorn master, with the address on which only it answers. Without a shared socket it is there for a trial."""

	def __init__(self, words: list[str], shared: socket.socket | None = None):
		self.is_trial = shared is None
		self.started_at = time.monotonic()
		self.asked_to_leave_at: float | None = None
		self.wrong_since: float | None = None
		self.question: socket.socket | None = None
		private = listen("127.0.0.1", 0)
		self.address = private.getsockname()
		parent, self.pid = os.getpid(), os.fork()
		if self.pid == 0:
			become(words, parent, (private,) if shared is None else (shared, private))
		private.close()

	def send_signal(self, number: int) -> None:
		os.kill(self.pid, number)

	def leave(self, number: int = signal.SIGTERM) -> None:
		self.asked_to_leave_at = self.asked_to_leave_at or time.monotonic()
		self.send_signal(number)

	@property
	def has_settled(self) -> bool:
		return time.monotonic() - self.started_at > SETTLED_SECONDS

	def ask(self, site: str) -> None:
		self.question = socket.create_connection(self.address, timeout=ASK_SECONDS)
		self.question.sendall(
			f"GET /api/method/ping HTTP/1.0\r\nHost: {site or 'localhost'}\r\n\r\n".encode()
		)

	def answer(self, site: str, wait_seconds: float = 0) -> int:
		"""The HTTP status of its answer; 0 while there is none. A question that was answered is asked anew."""
		try:
			if not self.question:
				self.ask(site)
			if not select.select([self.question], [], [], wait_seconds)[0]:
				return 0
			said = self.question.recv(64).split()
		except OSError:
			said = []
		self.forget_question()
		return int(said[1]) if len(said) > 1 and said[1].isdigit() else 0

	def forget_question(self) -> None:
		if self.question:
			self.question.close()
			self.question = None


class Keeper:
	"""One gunicorn that serves, at most one candidate for its place, and those that are on their way out."""

	def __init__(self, words: list[str], status_path: str):
		signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)  # heard one at a time, in `wait`
		libc.prctl(PR_SET_CHILD_SUBREAPER, 1)  # workers whose master was killed become ours
		self.words, self.status_path = words, status_path
		self.shared = listen_patiently(*address_in(words))
		self.candidate: Gunicorn | None = None
		self.leaving: list[Gunicorn] = []
		self.is_asked = self.is_ending = False
		self.proof = ""
		self.swap: dict = {}
		self.serving: Gunicorn | None = self.start()
		self.write_status()

	def run(self) -> int:
		"""Serve until told to end; returns the exit code."""
		while True:
			self.hear(self.wait())
			self.reap()
			if self.is_ending:
				if not (self.serving or self.candidate or self.leaving):
					return 0
			elif not (self.serving or self.candidate):
				return 1
			elif self.candidate:
				self.judge()
			elif self.is_asked:
				self.begin_swap()

	def wait(self) -> int | None:
		if not (self.candidate or self.leaving or self.is_asked):
			return signal.sigwaitinfo(HEARD).si_signo
		heard = signal.sigtimedwait(HEARD, LOOK_SECONDS)
		return heard.si_signo if heard else None

	def hear(self, number: int | None) -> None:
		self.is_asked |= number == signal.SIGHUP
		if number in PASSED_ON and self.serving:
			self.serving.send_signal(number)
		if number in ENDS:
			self.is_ending = True
			for one in self.all:
				one.leave(ENDS[number])

	@property
	def all(self) -> list[Gunicorn]:
		return [one for one in (self.serving, self.candidate, *self.leaving) if one]

	def start(self) -> Gunicorn:
		return Gunicorn(self.words, self.shared)

	def begin_swap(self) -> None:
		self.is_asked = False
		self.swap = {"began": time.monotonic(), "ended": None, "problem": ""}
		self.proof = self.find_proof()
		try:
			self.candidate = Gunicorn([*self.words, "-w", "1"])
		except OSError as error:  # no memory for a process, say; the old one has what it needs
			self.end_swap(f"could not be started: {error}")
			return
		say(f"trying the new code in gunicorn {self.candidate.pid}, while {self.serving.pid} serves")
		self.write_status()

	def find_proof(self) -> str:
		"""A site that the new process must answer with 200, since the old one does; empty where there is none."""
		sites = [site for site in sites_here() if not is_in_maintenance(site)]
		for site in sites[:ASKED_SITES]:
			status = self.serving.answer(site, ASK_SECONDS)
			self.serving.forget_question()
			if status in (200, 0):
				return site
		return ""

	def judge(self) -> None:
		"""Take the new one, turn it away, or look again. Its trial over, it is started to stay."""
		new, now = self.candidate, time.monotonic()
		status = new.answer(self.proof)
		if status == 200 or (status and not self.proof):
			self.start_to_stay() if new.is_trial else self.promote()
			return
		if status:
			new.wrong_since = new.wrong_since or now
		if new.wrong_since and status and now - new.wrong_since > WRONG_SECONDS:
			self.turn_away(f"answered {status} for site {self.proof}, which the old one answers with 200")
		elif now - new.started_at > BOOT_SECONDS:
			self.turn_away(f"did not answer within {BOOT_SECONDS} s")

	def start_to_stay(self) -> None:
		self.dismiss(self.candidate)
		self.candidate = None
		try:
			self.candidate = self.start()
		except OSError as error:
			self.end_swap(f"could not be started: {error}")
			return
		say(f"the new code works; starting gunicorn {self.candidate.pid}")

	def dismiss(self, one: Gunicorn) -> None:
		"""End one that nobody waits for."""
		self.leaving.append(one)
		one.leave(signal.SIGQUIT)

	def promote(self) -> None:
		old, self.serving, self.candidate = self.serving, self.candidate, None
		if old:
			self.leaving.append(old)
			old.leave()
		say(f"gunicorn {self.serving.pid} serves")
		self.end_swap("")

	def turn_away(self, problem: str) -> None:
		say(f"the new gunicorn {self.candidate.pid} {problem}; it was ended")
		self.dismiss(self.candidate)
		self.candidate = None
		self.end_swap(problem)

	def end_swap(self, problem: str) -> None:
		self.swap |= {"ended": time.monotonic(), "problem": problem}
		self.write_status()

	def reap(self) -> None:
		"""Notice who has ended, and end who hangs."""
		for one in self.leaving:
			if one.asked_to_leave_at and time.monotonic() - one.asked_to_leave_at > LEAVE_SECONDS:
				one.send_signal(signal.SIGKILL)
		ended = dict(ended_children())
		gone = {one: ended[one.pid] for one in self.all if one.pid in ended}
		if not gone:
			return
		self.leaving = [one for one in self.leaving if one not in gone]
		self.end_workers_without_master(gently=self.serving in gone and self.serving.has_settled)
		if self.candidate in gone:
			problem = f"ended with {gone[self.candidate]} before it answered"
			say(f"the new gunicorn {self.candidate.pid} {problem}")
			self.candidate = None
			self.end_swap(problem)
		if self.serving in gone:
			self.lose(self.serving, gone[self.serving])
		self.write_status()

	def lose(self, one: Gunicorn, exit_code: int) -> None:
		"""What served has ended. Requests wait at the socket, which we hold, until the next one is there."""
		self.serving = None
		if self.is_ending:
			return
		say(f"gunicorn {one.pid} ended with {exit_code}")
		if one.has_settled and (not self.candidate or self.candidate.is_trial):
			self.serving = self.start()

	def end_workers_without_master(self, gently: bool) -> None:
		"""They would go on serving old code, and hold the port against whoever comes after us."""
		masters = {one.pid for one in self.all}
		try:
			with open(f"/proc/self/task/{os.getpid()}/children") as file:
				children = set(map(int, file.read().split()))
		except OSError:
			return  # they notice by themselves, only later
		for pid in children - masters:
			os.kill(pid, signal.SIGTERM if gently else signal.SIGKILL)

	def write_status(self) -> None:
		"""Written whole or not at all; serving goes on where it cannot be written."""
		status = {
			"pid": os.getpid(),
			"serving": self.serving.pid if self.serving else None,
			"leaving": [one.pid for one in self.leaving],
			"swap": self.swap,
		}
		try:
			with open(f"{self.status_path}.new", "w") as file:
				json.dump(status, file)
			os.replace(f"{self.status_path}.new", self.status_path)
		except OSError as error:
			say(f"{self.status_path} cannot be written: {error}")


def ended_children():
	"""(pid, exit code) of each child that has ended since."""
	while True:
		try:
			pid, status = os.waitpid(-1, os.WNOHANG)
		except ChildProcessError:
			return
		if not pid:
			return
		yield pid, os.waitstatus_to_exitcode(status)


def become(words: list[str], parent: int, sockets: tuple[socket.socket, ...]) -> None:
	"""In the child: turn into gunicorn, which ends when its keeper does, or a stray one would hold the port."""
	try:
		libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
		for one in sockets:
			os.set_inheritable(one.fileno(), True)
		signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
		if os.getppid() == parent:
			words = with_sockets(words, [one.fileno() for one in sockets])
			os.execvp(words[0], words)
	except OSError as error:
		say(f"{words[0]} cannot be run: {error}")
	finally:
		os._exit(127)


def address_in(words: list[str]) -> tuple[str, int]:
	host, _, port = words[words.index("-b") + 1].rpartition(":")
	return host, int(port)


def with_sockets(words: list[str], numbers: list[int]) -> list[str]:
	"""gunicorn's words with inherited sockets; beside one of those it ignores any address (gunicorn.sock)."""
	at = words.index("-b")
	binds = [word for number in numbers for word in ("-b", f"fd://{number}")]
	return [*words[:at], *binds, *words[at + 2 :]]


def listen(host: str, port: int) -> socket.socket:
	made = socket.socket()
	try:
		made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		made.bind((host, port))
		made.listen(BACKLOG)
	except OSError:
		made.close()
		raise
	return made


def listen_patiently(host: str, port: int) -> socket.socket:
	"""Whoever was there before may still be leaving. Raises OSError after BIND_SECONDS."""
	deadline = time.monotonic() + BIND_SECONDS
	while True:
		try:
			return listen(host, port)
		except OSError as error:
			if time.monotonic() > deadline:
				raise
			if signal.sigtimedwait(ENDS, 0.5):
				sys.exit(0)
			say(f"{host}:{port} is not free ({error}); trying again")


def sites_here() -> list[str]:
	return sorted(entry.name for entry in os.scandir() if os.path.exists(f"{entry.name}/site_config.json"))


def is_in_maintenance(site: str) -> bool:
	"""Whether a site's configuration says so now: it then answers 503, however well the new process works."""
	for path in (f"{site}/site_config.json", "common_site_config.json"):
		try:
			with open(path) as file:
				config = json.load(file)
		except (OSError, ValueError):
			continue
		if "maintenance_mode" in config:
			return bool(config["maintenance_mode"])
	return False


def say(text: str) -> None:
	print(f"[web_keeper {os.getpid()}] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
	sys.exit(Keeper(sys.argv[1:], os.path.splitext(os.path.abspath(__file__))[0] + ".json").run())
