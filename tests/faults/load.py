"""Jobs of one run: some long, some tiny, and tiny ones that trickle in until the end."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from safe_restart.demo.bench import DemoBench
from tests.support.waiting import wait_for

from .scenario import Scenario

TINY_SECONDS = 0.01


class Load:
	"""Submits jobs and remembers each by name; `ids` has the RQ ids."""

	def __init__(self, demo: DemoBench, scenario: Scenario):
		self.demo = demo
		self.scenario = scenario
		self.ids: dict[str, str] = {}
		self.failures: list[str] = []
		self._may_submit = threading.Lock()
		self._stop = threading.Event()
		self._thread = threading.Thread(target=self._trickle, daemon=True)

	def begin(self) -> None:
		for number, seconds in enumerate(self.scenario.long_jobs):
			self.submit(f"long-{number}", seconds)
		wait_for(lambda: len(self.open_jobs()) == len(self.scenario.long_jobs), "long jobs begin")
		for number in range(self.scenario.tiny_jobs):
			self.submit(f"tiny-{number}")
		self._thread.start()

	def submit(self, name: str, seconds: float = TINY_SECONDS) -> None:
		self.ids[name] = self.demo.enqueue(seconds, name)

	def end(self) -> None:
		self._stop.set()
		if self._thread.is_alive():
			self._thread.join()

	@contextmanager
	def paused(self) -> Iterator[None]:
		"""Nothing is submitted meanwhile: whoever submits while Redis goes away cannot know whether it did."""
		with self._may_submit:
			yield

	def open_jobs(self) -> dict[str, int]:
		"""Jobs that have begun and not ended, with the pid of their work-horse."""
		found: dict[str, int] = {}
		for entry in self.demo.ledger():
			if entry["what"] == "begin":
				found[entry["job"]] = entry["pid"]
			elif entry["what"] == "end":
				found.pop(entry["job"], None)
		return found

	def _trickle(self) -> None:
		number = 0
		while not self._stop.wait(self.scenario.trickle_pause):
			with self._may_submit:
				try:
					self.submit(f"trickle-{number}")
				except Exception as error:
					self.failures.append(f"trickle-{number}: {error!r}")
				number += 1
