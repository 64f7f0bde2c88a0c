"""Calls the hooks of installed apps: whether a restart may begin, that it begins, and how it ended.

Apps name functions in their hooks.py:

	safe_restart_blockers = ["my_app.restart.objection"]  # () -> a sentence that objects, or None
	before_safe_restart = ["my_app.restart.before"]  # (request)
	after_safe_restart = ["my_app.restart.after"]  # (request, status)

Each function runs in a thread with a database connection of its own. One that hangs is left behind after the
time limit, so that neither the caller's transaction nor the restart hangs with it.
"""

import threading
import time

import frappe
from frappe import _

TIME_LIMIT_SECONDS = 30


class Call(threading.Thread):
	"""A thread that calls one function of an app as Administrator."""

	def __init__(self, dotted: str, arguments: tuple):
		super().__init__(daemon=True, name=dotted)
		self.dotted, self.arguments = dotted, arguments
		self.site, self.sites_path = frappe.local.site, frappe.local.sites_path
		self.answer = None
		self.error: Exception | None = None

	def run(self) -> None:
		try:
			frappe.init(site=self.site, sites_path=self.sites_path)
			frappe.connect()
			self.answer = frappe.get_attr(self.dotted)(*self.arguments)
			frappe.db.commit()  # nothing else commits in this thread
		except Exception as error:
			self.error = error
		finally:
			frappe.destroy()

	@property
	def complaint(self) -> str | None:
		"""What went wrong, as a sentence; None where the function returned."""
		if self.is_alive():
			return _("{0} has not answered within {1} s").format(self.dotted, TIME_LIMIT_SECONDS)
		return _("{0} failed: {1}").format(self.dotted, repr(self.error)) if self.error else None


hanging: dict[str, Call] = {}  # functions that have not answered, by their dotted names


def ask_blockers() -> list[dict]:
	"""Ask the apps for objections, as {"by", "sentence"}.

	A function that fails or does not answer in time objects too.
	"""
	calls = call_all("safe_restart_blockers")
	answers = [(call.dotted, call.complaint or call.answer) for call in calls]
	return [{"by": dotted, "sentence": str(sentence)} for dotted, sentence in answers if sentence]


def run_before(request: str) -> list[dict]:
	"""Tell the apps that a restart begins. Returns what went wrong, as {"by", "sentence"}."""
	return complaints(call_all("before_safe_restart", request))


def run_after(request: str, status: str) -> list[dict]:
	"""Tell the apps how a restart ended. Returns what went wrong, as {"by", "sentence"}."""
	return complaints(call_all("after_safe_restart", request, status))


def complaints(calls: list[Call]) -> list[dict]:
	return [{"by": call.dotted, "sentence": call.complaint} for call in calls if call.complaint]


def call_all(hook: str, *arguments: str) -> list[Call]:
	"""Call all functions of a hook at the same time, and wait for them at most the time limit.

	A function that still hangs from an earlier call is not called again.
	"""
	calls = [Call(dotted, arguments) for dotted in frappe.get_hooks(hook)]
	deadline = time.monotonic() + TIME_LIMIT_SECONDS
	for index, call in enumerate(calls):
		earlier = hanging.get(call.dotted)
		if earlier and earlier.is_alive():
			calls[index] = earlier
		else:
			call.start()
	for call in calls:
		if call is not hanging.get(call.dotted):
			call.join(max(0.0, deadline - time.monotonic()))
	hanging.clear()
	hanging.update({call.dotted: call for call in calls if call.is_alive()})
	return calls
