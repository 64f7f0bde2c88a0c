"""Brings the documents up to date from the journal, which is the truth: also those of restarts that were typed.

A row is locked while it is written and committed at once, so two of us at the same time do no harm, and twice is the
same as once.
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
# Between the commit of a document and its line in the journal; after that nobody will write the line any more.
LOST_AFTER_SECONDS = 60


def sync() -> None:
	"""Create and update what differs from the journal. Does nothing on a site that may not ask for restarts."""
	try:
		bench, seen = this_bench(), visibility()
		journal = Journal(bench)
	except RestartError:
		return
	for request in behind(journal.requests(KEPT_REQUESTS)):
		bring_up(journal, request, seen)
	give_up_lost(journal)


def catch_up(bench: Bench, seen: SiteVisibility, ids: Iterable[str]) -> None:
	"""The same for a few requests that somebody looks at; costs one query where nothing has changed."""
	if frappe.flags.read_only:
		return
	journal = Journal(bench)
	for request in behind([journal.request(id) for id in ids]):
		bring_up(journal, request, seen)


def behind(requests: list[Request]) -> list[Request]:
	"""Those whose document is missing or says something else; the oldest first."""
	names = [request.id for request in requests]
	rows = frappe.get_all(
		DOCTYPE, filters={"name": ("in", names)}, fields=["name", "status", "finished_at"], limit=0
	)
	known = {row.name: (row.status, row.finished_at) for row in rows}
	return [r for r in reversed(requests) if known.get(r.id) != (word(r.status), local(r.finished_at))]


def bring_up(journal: Journal, request: Request, seen: SiteVisibility) -> None:
	"""One document; where a Notification or another app's event fails on it, that is logged and the others go on."""
	name = request.id
	try:
		is_new = not frappe.db.exists(DOCTYPE, name)
		doc = frappe.new_doc(DOCTYPE) if is_new else frappe.get_doc(DOCTYPE, name, for_update=True)
		fill(doc, request, board.progress_of(request, journal.steps(name), seen))
		doc.flags.from_journal = True
		if is_new:
			insert(doc, name, request)
		else:
			doc.save(ignore_permissions=True)  # nobody has the permission; the journal alone may
		frappe.db.commit()  # frees the row, and readers by GET would roll it back
	except frappe.DuplicateEntryError:
		frappe.db.rollback()  # somebody else was faster
	except Exception:
		frappe.db.rollback()
		frappe.log_error(f"Safe Restart: request {name} could not be brought up to date")
		frappe.db.commit()  # the log of the error


def insert(doc: Document, name: str, request: Request) -> None:
	doc.insert(ignore_permissions=True, set_name=name)
	# Not the user who happened to look, nor the time when that was.
	made = {"owner": "Administrator", "creation": local(request.created_at)}
	doc.db_set(made, update_modified=False)


def fill(doc: Document, request: Request, shown: dict) -> None:
	"""Write all that the journal knows into the document."""
	options = shown["options"]
	doc.update(
		{
			"strategy": shown["strategy"],
			"services": ", ".join(options.get("only", ())),
			"force_kill_timeout": as_text(options.get("force_kill_timeout")),
			"status": word(shown["status"]),
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


def give_up_lost(journal: Journal) -> None:
	"""Documents that were committed by a process that died before it could write the journal."""
	filters = {
		"status": ("in", [word(status) for status in OPEN]),
		"creation": ("<", add_to_date(now_datetime(), seconds=-LOST_AFTER_SECONDS)),
	}
	known = {request.id for request in journal.requests(KEPT_REQUESTS)}
	for name in set(frappe.get_all(DOCTYPE, filters=filters, pluck="name", limit=0)) - known:
		fail(name, _("It never reached the helper, and nothing was touched. Ask again."))


def fail(name: str, sentence: str) -> None:
	"""Say that a request came to nothing."""
	doc = frappe.get_doc(DOCTYPE, name, for_update=True)
	doc.flags.from_journal = True
	doc.update({"status": "Failed", "exit_code": "1", "outcome": sentence, "finished_at": now_datetime()})
	doc.save(ignore_permissions=True)  # as in bring_up
	frappe.db.commit()  # the request that asked has been committed already


def word(status: str) -> str:
	"""The journal's word for a status as the document has it."""
	return status.capitalize()


def as_text(value: float | None) -> str:
	"""For fields where 0 is a value and empty is another; Frappe's numbers cannot be empty."""
	return "" if value is None else f"{value:g}"


def local(timestamp: str | None) -> datetime | None:
	"""A timestamp of the journal as Frappe keeps them: the site's time zone, without naming it."""
	return convert_utc_to_system_timezone(parse(timestamp)).replace(tzinfo=None) if timestamp else None
