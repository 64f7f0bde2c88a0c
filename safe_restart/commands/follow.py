"""Follows a request to its end. It only reads the journal; Ctrl-C asks for cancellation."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING

from ..engine.core.bench import Bench
from ..engine.core.errors import RestartError, Unreadable, Unwritable
from ..engine.state import records
from ..engine.state.journal import Journal
from ..engine.state.records import Request

if TYPE_CHECKING:  # rich takes its time, and only a terminal needs it
	from .view_live import LiveView
	from .view_plain import PlainView

POLL_SECONDS = 0.02
EXIT_LEFT_RUNNING = 130  # the exit code of a command that Ctrl-C ended, as shells have it


class Interrupts:
	"""Counts Ctrl-C, from before the request is written, so that none is missed until the request is
	followed.

	A context manager.

	is_over: the restart has ended, so that a Ctrl-C is ignored, which would change the exit code
	"""

	def __init__(self) -> None:
		self.count = 0
		self.is_over = False

	def __enter__(self) -> "Interrupts":
		self.before = signal.signal(signal.SIGINT, self.note)
		return self

	def __exit__(self, *_: object) -> None:
		signal.signal(signal.SIGINT, signal.SIG_IGN if self.is_over else self.before)

	def note(self, number: int, frame: FrameType | None) -> None:
		self.count += 1


class Follower:
	"""Shows what the journal says of a request until it has ended, or only stragglers are left."""

	def __init__(
		self, bench: Bench, journal: Journal, helper: subprocess.Popen, params: dict, interrupts: Interrupts
	):
		self.bench, self.journal, self.helper = bench, journal, helper
		self.params, self.interrupts = params, interrupts
		self.is_cancelling = self.is_waiting = False

	def follow(self, request: Request) -> Request:
		"""Follow the request and return it as it ended.

		Raises RestartError where the helper died, with what to type.
		"""
		self.view = make_view(self.bench, self.journal, request, self.params)
		with self.view:
			while True:
				was_dead = self.helper.poll() is not None
				try:
					request = self.journal.request(request.id)
					self.view.update(request)
				except Unreadable as error:
					was_dead = False  # nothing can be concluded
					self.say_that_it_waits(error)
				if request.status not in (records.QUEUED, records.RUNNING):
					break
				if was_dead and (word := last_word(self.helper)):
					request = replace(request, **word)
					break
				if was_dead:
					self.check_abandoned(request)
				self.handle_interrupts(request)
				time.sleep(POLL_SECONDS)
			self.view.end(request)
		self.interrupts.is_over = True
		return request

	def say_that_it_waits(self, error: Unreadable) -> None:
		"""Say once that the journal cannot be read now."""
		if not self.is_waiting:
			self.view.say(f"{str(error).partition(':')[0]}; waiting until it can.")
		self.is_waiting = True

	def check_abandoned(self, request: Request) -> None:
		"""Raises RestartError where nobody carries the request out any more."""
		if request.status == records.QUEUED:
			sentence = (
				"The helper died before it began. Nothing was touched. sites/.safe-restart/helper.log may say why; type "
				"the command again."
			)
			self.journal.write_report(request.id, records.FAILED, 1, sentence, None)
			raise RestartError(sentence)
		if self.journal.is_abandoned(request):
			raise RestartError(
				f"The helper of request {request.id} died, and its guard too. Workers take jobs again within "
				"30 s, and the process manager starts services again that had stopped. Type `safe-restart "
				"recover` to end the request; sites/.safe-restart/helper.log may say why."
			)

	def handle_interrupts(self, request: Request) -> None:
		"""Ask for cancellation at the first Ctrl-C; stop following at the second."""
		if self.interrupts.count > 1:
			self.view.say(f"Left running. Type `safe-restart show {request.id}` to see how it goes.")
			sys.exit(EXIT_LEFT_RUNNING)
		if not self.interrupts.count or self.is_cancelling:
			return
		self.is_cancelling = True
		try:
			self.journal.ask_to_cancel(request.id)
		except Unwritable:
			self.helper.terminate()  # which asks for the same
		self.view.say(
			"Asked to cancel. What is being replaced is finished first. Press Ctrl-C again to leave the "
			"restart running."
		)


def last_word(helper: subprocess.Popen) -> dict | None:
	"""Read how the request ended from a helper that could not write that into the journal; None where it said
	nothing."""
	if helper.stdout is None:
		return None
	os.set_blocking(helper.stdout.fileno(), False)
	said = helper.stdout.read()
	return json.loads(said.splitlines()[-1]) if said else None


def make_view(bench: Bench, journal: Journal, request: Request, params: dict) -> "LiveView | PlainView":
	"""A live picture for a terminal, plain lines otherwise."""
	if sys.stdout.isatty() and not params["as_json"]:
		from .view_live import LiveView

		return LiveView(bench, journal, request, params["wait_workers_verbose"])
	from .view_plain import PlainView

	return PlainView(bench, journal, request, params["wait_workers_verbose"], to_stderr=params["as_json"])
