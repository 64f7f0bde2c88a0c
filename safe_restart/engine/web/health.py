"""Whether the sites answer over HTTP, and for how long they did not."""

import http.client
import threading
import time
from dataclasses import dataclass

from ..core.bench import Bench
from ..core.waiting import wait_until

PING = "/api/method/ping"  # frappe.ping: open to guests, answers 200 without touching the database
HEALTH_TIMEOUT_SECONDS = 5
POLL_SECONDS = 0.02
POLL_TIMEOUT_SECONDS = 1
SURELY_DOWN_SECONDS = 0.5  # 25 answers, from more than one web process


@dataclass(frozen=True)
class Health:
	"""What a site answered: an HTTP status, or 0 where nothing answered."""

	site: str
	status: int

	@property
	def is_ok(self) -> bool:
		return self.status == 200


def ask(bench: Bench, site: str, timeout_seconds: float = HEALTH_TIMEOUT_SECONDS) -> Health:
	"""Ping one site on the bench's own web port, naming it in the Host header as nginx does."""
	connection = http.client.HTTPConnection("127.0.0.1", bench.web_port, timeout=timeout_seconds)
	try:
		connection.request("GET", PING, headers={"Host": site, "Connection": "close"})
		return Health(site, connection.getresponse().status)
	except (OSError, http.client.HTTPException):
		return Health(site, 0)
	finally:
		connection.close()


def health(bench: Bench) -> dict[str, Health]:
	"""Ping every site; the answers by site. Once a site does not answer at all, the others are not asked any more."""
	answers: dict[str, Health] = {}
	for site in bench.sites or ("localhost",):
		answers[site] = ask(bench, site) if all(a.status for a in answers.values()) else Health(site, 0)
	return answers


class Probe:
	"""Measures how long a site does not answer 200: pings it each POLL_SECONDS, in a thread, from `start` to `stop`."""

	def __init__(self, bench: Bench, site: str):
		self.bench = bench
		self.site = site
		self.down_since: float | None = None
		self.outage_seconds = 0.0
		self._stop = threading.Event()
		self._thread = threading.Thread(target=self._poll, name="probe", daemon=True)

	def start(self) -> None:
		self._thread.start()

	def stop(self) -> None:
		self._stop.set()
		self._thread.join()

	def wait_until_down(self, timeout_seconds: float) -> bool:
		"""Wait until the site has not answered 200 for SURELY_DOWN_SECONDS; False where it still answers in the end."""

		def is_surely_down() -> bool:
			since = self.down_since
			return since is not None and time.monotonic() - since > SURELY_DOWN_SECONDS

		return wait_until(is_surely_down, timeout_seconds, POLL_SECONDS / 2)

	def wait_until_ok(self, timeout_seconds: float) -> bool:
		"""Wait until the site answers 200 again; False where it does not within the timeout."""
		return wait_until(lambda: self.down_since is None, timeout_seconds, POLL_SECONDS / 2)

	@property
	def outage_ms(self) -> int:
		"""Milliseconds without a 200 so far, all outages added; one that goes on counts up to now."""
		lasting = time.monotonic() - self.down_since if self.down_since is not None else 0
		return round((self.outage_seconds + lasting) * 1000)

	def _poll(self) -> None:
		while not self._stop.wait(POLL_SECONDS):
			asked_at = time.monotonic()
			if not ask(self.bench, self.site, POLL_TIMEOUT_SECONDS).is_ok:
				self.down_since = asked_at if self.down_since is None else self.down_since
			elif self.down_since is not None:
				self.outage_seconds += time.monotonic() - self.down_since
				self.down_since = None
