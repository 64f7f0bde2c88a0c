"""One restart of this bench.

Inserting the document asks for it; from then on only the journal changes the document.
"""

import re
import sqlite3
from functools import partial

import frappe
from frappe import _
from frappe.model.document import Document

from .... import helper
from ....desk import hook_runner, journal_sync, request_options
from ....desk.permission import as_frappe_errors, check_role, this_bench, visibility
from ....engine.core.errors import RestartError
from ....engine.state import records
from ....engine.state.journal import Journal

ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


class RestartRequest(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		from safe_restart.safe_restart.doctype.restart_request_job.restart_request_job import (
			RestartRequestJob,
		)
		from safe_restart.safe_restart.doctype.restart_request_step.restart_request_step import (
			RestartRequestStep,
		)

		affected: DF.Table[RestartRequestJob]
		affected_elsewhere: DF.Int
		created_at: DF.Datetime | None
		exit_code: DF.Data | None
		finished_at: DF.Datetime | None
		force_kill_timeout: DF.Data | None
		interrupted: DF.Literal["", "requeue", "hold", "fail"]
		jobs_finished_during: DF.Int
		jobs_delayed: DF.Int
		jobs_held: DF.Int
		jobs_interrupted: DF.Int
		jobs_lost_and_found: DF.Int
		jobs_queued_at_start: DF.Int
		jobs_requeued: DF.Int
		jobs_running_at_start: DF.Int
		migrate: DF.Check
		migrate_timeout: DF.Float
		outcome: DF.SmallText | None
		override_blockers: DF.Check
		reason: DF.SmallText | None
		requested_by: DF.Data | None
		seconds: DF.Float
		services: DF.Data | None
		started_at: DF.Datetime | None
		status: DF.Literal["Queued", "Running", "Watching", "Completed", "Failed", "Cancelled", "Refused"]
		steps: DF.Table[RestartRequestStep]
		strategy: DF.Literal["", "rolling", "wait-workers", "no-wait-workers", "suspend-rq", "now", "drain"]
		wait_workers_timeout: DF.Float
		warnings: DF.SmallText | None
		web_checked: DF.Check
		web_outage_ms: DF.Int
		workers_after: DF.Int
		workers_before: DF.Int
		workers_replaced: DF.Int
		workers_still_old: DF.Int
	# end: auto-generated types

	def autoname(self) -> None:
		self.name = records.new_id()

	def before_insert(self) -> None:
		if not self.flags.from_journal:
			self.ask()

	def after_insert(self) -> None:
		if not self.flags.from_journal:
			# A rollback starts nothing.
			frappe.db.after_commit.add(partial(submit_committed_request, self.name, self.flags.options))

	def validate(self) -> None:
		"""Refuse every change that is not the journal's.

		`flags` cannot be set from outside (BaseDocument._reserved_keywords), so this holds for REST and for
		Administrator too.
		"""
		if not self.is_new() and not self.flags.from_journal:
			refuse()
		if not ID.fullmatch(self.name):
			frappe.throw(_("A Restart Request gets its name from the journal."))

	def on_update(self) -> None:
		# Other code that runs on this event must not save with the permission of the journal.
		self.flags.from_journal = False

	def on_trash(self) -> None:
		refuse()

	def before_rename(self, old: str, new: str, merge: bool = False) -> None:
		refuse()

	def before_discard(self) -> None:
		refuse()

	@as_frappe_errors
	def ask(self) -> None:
		"""Check what is asked for, and fill in its options. No field of the report is taken from outside."""
		check_role()
		visibility()
		if frappe.flags.in_import:
			frappe.throw(_("Restarts cannot be imported."))
		bench, wanted = this_bench(), self.wanted()
		options = request_options.options_of(wanted, bench)
		strategy = request_options.strategy_of(self.strategy, options, bench)
		request_options.check_confirmation(strategy, self.get("confirm"))
		self.check_blockers()
		self.clear()
		self.update(
			{
				"strategy": strategy.name,
				"requested_by": frappe.session.user,
				"services": ", ".join(options.only),
				"migrate": options.migrate,
				"interrupted": options.interrupted,
				"wait_workers_timeout": options.wait_workers_timeout,
				"migrate_timeout": options.migrate_timeout,
				"force_kill_timeout": journal_sync.as_text(options.force_kill_timeout),
				"created_at": frappe.utils.now_datetime(),
			}
		)
		self.flags.options = options.as_dict()

	def wanted(self) -> dict:
		"""The options as they came, unchecked."""
		return {name: self.services if name == "only" else self.get(name) for name in request_options.ROWS}

	def check_blockers(self) -> None:
		"""Refuse the restart where an app objects, unless the person overrides that with a reason."""
		if self.override_blockers:
			if not (self.reason or "").strip():
				frappe.throw(
					_(
						"Overriding a blocker needs a reason that says why. Nothing was touched. Give a reason."
					)
				)
			return
		if objections := hook_runner.ask_blockers():
			sentences = "; ".join(f"{one['by']}: {one['sentence']}" for one in objections)
			frappe.throw(
				_(
					"An app objects to a restart now: {0}. Nothing was touched. Wait, or override it with a reason."
				).format(sentences)
			)

	def clear(self) -> None:
		"""Empty every field that only the journal fills."""
		for field in self.meta.fields:
			if field.no_copy:
				self.set(field.fieldname, [] if field.fieldtype == "Table" else None)
		self.status = "Queued"
		self.amended_from = None  # no field of this DocType, but Frappe would make a name of it


def submit_committed_request(name: str, options: dict) -> None:
	"""Start a helper for a request whose document was committed. Where that fails, the document says so."""
	doc = frappe.get_doc("Restart Request", name)
	try:
		bench = this_bench()
		write = partial(
			Journal(bench).add, doc.strategy, options, doc.requested_by, doc.reason or "", id=name
		)
		helper.start_helper(bench.path, name, write)
	except (RestartError, OSError, sqlite3.Error) as error:
		journal_sync.fail(
			name, _("The helper could not be started ({0}). Nothing was touched.").format(error)
		)


def refuse() -> None:
	"""Raises PermissionError: the document is a record."""
	frappe.throw(
		_("A Restart Request tells what happened: it is neither changed, renamed nor deleted."),
		frappe.PermissionError,
	)
