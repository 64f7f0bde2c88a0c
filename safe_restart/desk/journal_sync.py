"""Brings the Restart Request documents up to date with the journal, also for restarts that were typed.

The journal is the truth. A row is locked while it is written, and committed at once, so that two processes
may do this at the same time, and doing it twice is the same as once.
"""

from collections.abc import Iterable
from datetime import datetime

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import add_to_date, convert_utc_to_system_timezone, now_datetime

from ..engine.core.bench import Bench
from ..engine.core.errors import RestartError
from ..engine.core.timestamps import parse
from ..engine.sites.visibility import SiteVisibility
from ..engine.state.journal import KEPT_REQUESTS, Journal
from ..engine.state.records import OPEN, Request
from ..engine.views import board
from .permission import this_bench, visibility

DOCTYPE = "Restart Request"
# A document is committed before its request is written into the journal. After so long the request will not
# come any more.
LOST_AFTER_SECONDS = 60


def sync() -> None:
	"""Create and update the documents that differ from the journal.

	Does nothing on a site that may not ask for restarts.
	"""
	try:
		bench, visible = this_bench(), visibility()
		journal = Journal(bench)
	except RestartError:
		return
	for request in outdated(journal.requests(KEPT_REQUESTS)):
		update_document(journal, request, visible)
	fail_lost_documents(journal)


def sync_some(bench: Bench, visible: SiteVisibility, ids: Iterable[str]) -> None:
	"""Create and update the documents of these requests. Takes one query where nothing has changed."""
	if frappe.flags.read_only:
		return
	journal = Journal(bench)
	for request in outdated([journal.request(id) for id in ids]):
		update_document(journal, request, visible)


def outdated(requests: list[Request]) -> list[Request]:
	"""The requests whose document is missing or differs from the journal, the oldest first."""
	names = [request.id for request in requests]
	rows = frappe.get_all(
		DOCTYPE, filters={"name": ("in", names)}, fields=["name", "status", "finished_at"], limit=0
	)
	known = {row.name: (row.status, row.finished_at) for row in rows}
	return [
		r for r in reversed(requests) if known.get(r.id) != (status_label(r.status), local(r.finished_at))
	]


def update_document(journal: Journal, request: Request, visible: SiteVisibility) -> None:
	"""Create or update one document.

	Where a Notification or an event of another app fails on it, the error is logged.
	"""
	name = request.id
	try:
		is_new = not frappe.db.exists(DOCTYPE, name)
		doc = frappe.new_doc(DOCTYPE) if is_new else frappe.get_doc(DOCTYPE, name, for_update=True)
		fill(doc, board.progress_of(request, journal.steps(name), visible))
		doc.flags.from_journal = True
		if is_new:
			insert(doc, name, request)
		else:
			doc.save(ignore_permissions=True)  # no user has the permission; the journal alone changes it
		frappe.db.commit()  # frees the row; a request by GET would roll it back
	except frappe.DuplicateEntryError:
		frappe.db.rollback()  # another process was faster
	except Exception:
		frappe.db.rollback()
		frappe.log_error(f"Safe Restart: request {name} could not be brought up to date")
		frappe.db.commit()  # the log of the error


def insert(doc: Document, name: str, request: Request) -> None:
	"""Insert a new document under the id of the request."""
	doc.insert(ignore_permissions=True, set_name=name)
	# Not the user and the time of this very call.
	made = {"owner": "Administrator", "creation": local(request.created_at)}
	doc.db_set(made, update_modified=False)


def fill(doc: Document, shown: dict) -> None:
	"""Write all that the journal knows into the fields of the document."""
	options = shown["options"]
	doc.update(
		{
			"strategy": shown["strategy"],
			"services": ", ".join(options.get("only", ())),
			"force_kill_timeout": as_text(options.get("force_kill_timeout")),
			"status": status_label(shown["status"]),
			"exit_code": as_text(shown["exit_code"]),
			"outcome": shown["outcome"],
			"warnings": "\n".join(shown["warnings"]),
			"created_at": local(shown["created_at"]),
			"started_at": local(shown["started_at"]),
			"finished_at": local(shown["finished_at"]),
			"web_checked": shown["web"]["checked"],
			"web_outage_ms": shown["web"]["outage_ms"],
			"steps": [step_row(step) for step in shown["steps"]],
			"affected": [
				{key: job[key] for key in ("job", "method", "site", "fate")} for job in shown["affected"]
			],
		}
	)
	for name in ("requested_by", "reason", "seconds", "affected_elsewhere"):
		doc.set(name, shown[name])
	for name in ("migrate", "migrate_timeout", "wait_workers_timeout", "interrupted", "override_blockers"):
		doc.set(name, options.get(name))
	for group in ("jobs", "workers"):
		doc.update({f"{group}_{name}": value for name, value in shown[group].items()})


def step_row(step: dict) -> dict:
	row = {key: step[key] for key in ("status", "seconds", "detail")}
	return {**row, "step": step["name"], "started_at": local(step["started_at"])}


def fail_lost_documents(journal: Journal) -> None:
	"""Fail documents that never reached the journal, because the process died that had committed them."""
	filters = {
		"status": ("in", [status_label(status) for status in OPEN]),
		"creation": ("<", add_to_date(now_datetime(), seconds=-LOST_AFTER_SECONDS)),
	}
	known = {request.id for request in journal.requests(KEPT_REQUESTS)}
	for name in set(frappe.get_all(DOCTYPE, filters=filters, pluck="name", limit=0)) - known:
		fail(name, _("The request never reached the helper. Nothing was touched. Ask for the restart again."))


def fail(name: str, sentence: str) -> None:
	"""Mark a request as failed, with this outcome."""
	doc = frappe.get_doc(DOCTYPE, name, for_update=True)
	doc.flags.from_journal = True
	doc.update({"status": "Failed", "exit_code": "1", "outcome": sentence, "finished_at": now_datetime()})
	doc.save(ignore_permissions=True)  # as in update_document
	frappe.db.commit()  # the request that asked has been committed already


def status_label(status: str) -> str:
	"""A status of the journal as the document writes it."""
	return status.capitalize()


def as_text(value: float | None) -> str:
	"""A number for a field of text, in which empty differs from 0; Frappe's number fields cannot be empty."""
	return "" if value is None else f"{value:g}"


def local(timestamp: str | None) -> datetime | None:
	"""A timestamp of the journal as Frappe stores it: in the time zone of the site, which is not named in
	it."""
	return convert_utc_to_system_timezone(parse(timestamp)).replace(tzinfo=None) if timestamp else None
