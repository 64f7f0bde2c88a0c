"""Clients that load the web of a demo bench as a busy site is, with a new connection for each request."""

import http.client
import threading
import time
from collections import Counter

from ..engine.web.health import PING
from . import app
from .bench import DemoBench

TIMEOUT_SECONDS = 60
OK = "200"


class WebLoad:
	"""Threads that send requests from entering the context until leaving it, each with a pause between two
	requests.

	outcomes: how many requests ended with each status, refused, reset or timeout
	longest_seconds: how long the slowest request took
	"""

	def __init__(self, demo: DemoBench, clients: int = 16, pause_seconds: float = 0.05, path: str = PING):
		self.port, self.path, self.pause_seconds = demo.web_port, path, pause_seconds
		self.outcomes: Counter[str] = Counter()
		self.longest_seconds = 0.0
		self._lock = threading.Lock()
		self._stop = threading.Event()
		self._threads = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(clients)]

	def __enter__(self) -> "WebLoad":
		for thread in self._threads:
			thread.start()
		return self

	def __exit__(self, *_: object) -> None:
		self._stop.set()
		for thread in self._threads:
			thread.join()

	@property
	def requests(self) -> int:
		return sum(self.outcomes.values())

	@property
	def failures(self) -> dict[str, int]:
		return {outcome: count for outcome, count in self.outcomes.items() if outcome != OK}

	def _ask_on(self) -> None:
		while not self._stop.wait(self.pause_seconds):
			began = time.monotonic()
			outcome = self._ask()
			seconds = time.monotonic() - began
			with self._lock:
				self.outcomes[outcome] += 1
				self.longest_seconds = max(self.longest_seconds, seconds)

	def _ask(self) -> str:
		connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
		try:
			connection.request("GET", self.path, headers={"Host": app.SITE, "Connection": "close"})
			answer = connection.getresponse()
			answer.read()
			return str(answer.status)
		except ConnectionRefusedError:
			return "refused"
		except TimeoutError:
			return "timeout"
		except (OSError, http.client.HTTPException):
			return "reset"
		finally:
			connection.close()
