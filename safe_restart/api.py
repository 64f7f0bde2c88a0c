"""The methods that the board in the desk calls, and pipelines over REST.

Each checks the role and the site; the engine answers with the JSON of engine/views/board.py.

A restart is asked for by inserting a Restart Request, here as over `/api/resource`, so that the same checks
hold.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

import frappe
from frappe.rate_limiter import rate_limit
from frappe.utils import now_datetime

from .desk import journal_sync, request_options
from .desk.hook_runner import ask_blockers
from .desk.permission import as_frappe_errors, check_role, this_bench, visibility
from .engine.views import board

CHANGES_PER_MINUTE = 30
HISTORY_LIMIT = 200
# Frappe writes the last use of a session into the database at most every 10 minutes
# (frappe.sessions.Session.update).
ACTIVE_WITHIN = timedelta(minutes=10)

changes = rate_limit(limit=CHANGES_PER_MINUTE, seconds=60)


def managers_only(method: Callable[..., dict]) -> Callable[..., dict]:
	"""A decorator that checks, before anything else, the role and then whether this site may ask for
	restarts."""

	@wraps(method)
	@as_frappe_errors
	def checked(*args: Any, **kwargs: Any) -> dict:
		check_role()
		visibility()
		return method(*args, **kwargs)

	return checked


@frappe.whitelist()
@managers_only
def overview() -> dict:
	"""All that the board shows at first sight."""
	answer = board.overview(this_bench(), visibility())
	journal_sync.sync_some(this_bench(), visibility(), [one["request"] for one in answer["history"]])
	return {**answer, "site": frappe.local.site}


@frappe.whitelist()
@managers_only
def preview(options: dict | str | None = None) -> dict:
	"""What each strategy would do to the jobs that exist now, the objections of apps, and how many people are
	at work."""
	bench = this_bench()
	choice = request_options.options_of(request_options.of_board(options), bench)
	answer = board.previews(bench, choice.as_dict(), visibility())
	return {**answer, "blockers": ask_blockers(), "users_active": users_active()}


@frappe.whitelist(methods=["POST"])
@managers_only
@changes
def request(
	strategy: str | None = None,
	options: dict | str | None = None,
	reason: str | None = None,
	override_blockers: bool = False,
	confirm: str | None = None,
) -> dict:
	"""Ask for a restart, which begins when this call is committed.

	confirm: the name of the site, where jobs are interrupted
	"""
	values = request_options.of_board(options)
	request_options.options_of(values, this_bench())  # refuses an option that the document has no field for
	doc = frappe.new_doc(
		"Restart Request", strategy=strategy, reason=reason, override_blockers=override_blockers
	)
	doc.update({name: value for name, value in values.items() if name != "only"})
	doc.update({"services": values.get("only"), "confirm": confirm})
	doc.insert()
	return {"request": doc.name}


@frappe.whitelist()
@managers_only
def progress(request: str, after: int = 0) -> dict:
	"""How far a request has come, with its events after that number."""
	answer = board.progress(this_bench(), request, after, visibility())
	journal_sync.sync_some(this_bench(), visibility(), [request])
	return answer


@frappe.whitelist(methods=["POST"])
@managers_only
@changes
def cancel(request: str) -> dict:
	"""Ask for the cancellation of a request."""
	return board.cancel(this_bench(), request)


@frappe.whitelist(methods=["POST"])
@managers_only
@changes
def requeue(job: str) -> dict:
	"""Put a held or delayed job of this site at the front of its queue."""
	return board.requeue(this_bench(), job, frappe.session.user, visibility())


@frappe.whitelist(methods=["POST"])
@managers_only
@changes
def discard(job: str) -> dict:
	"""Mark a held or delayed job of this site as failed."""
	return board.discard(this_bench(), job, frappe.session.user, visibility())


@frappe.whitelist()
@managers_only
def history(limit: int = board.HISTORY, before: str | None = None) -> dict:
	"""Requests, the newest first; where `before` names one, those before it."""
	return board.history(this_bench(), visibility(), max(1, min(limit, HISTORY_LIMIT)), before)


def users_active() -> int:
	"""How many people have used this site within the last ten minutes, with the one who asks."""
	sessions = frappe.qb.DocType("Sessions")
	used = frappe.qb.from_(sessions).select(sessions.user).distinct()
	used = used.where(sessions.lastupdate > now_datetime() - ACTIVE_WITHIN).where(sessions.user != "Guest")
	return len(used.run())
