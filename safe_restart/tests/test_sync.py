import subprocess
import sys

import frappe
from frappe.utils import add_to_date, now_datetime

from safe_restart.tests import DOCTYPE, MANAGER, TestCase

from .. import api
from ..desk import journal_sync
from ..engine.state import records


class TestSync(TestCase):
	def test_a_restart_that_was_typed_becomes_a_document(self):
		id = self.typed("deployed 1.2")
		self.end(id)
		journal_sync.sync()
		doc = frappe.get_doc(DOCTYPE, id)
		self.assertEqual(
			(doc.status, doc.requested_by, doc.reason, doc.services, doc.exit_code, doc.owner),
			("Completed", "frappe", "deployed 1.2", "web", "0", "Administrator"),
		)
		self.assertEqual(doc.created_at, journal_sync.local(self.journal.request(id).created_at))

	def test_it_shows_as_soon_as_somebody_opens_the_board(self):
		id = self.typed()
		self.assertEqual(self.http("method/safe_restart.api.overview", MANAGER, method="GET")[0], 200)
		self.assertEqual(frappe.db.get_value(DOCTYPE, id, "status"), "Queued")
		self.end(id, records.FAILED, 1)
		api.progress(id)
		self.assertEqual(frappe.db.get_value(DOCTYPE, id, "status"), "Failed")

	def test_twice_is_the_same_as_once(self):
		id = self.typed()
		self.end(id)
		journal_sync.sync()
		before = frappe.get_doc(DOCTYPE, id).as_dict()
		journal_sync.sync()
		self.assertEqual(frappe.get_doc(DOCTYPE, id).as_dict(), before)

	def test_steps_and_jobs_are_taken_over_once(self):
		id = self.typed()
		step = self.journal.start_step(id, "drain")
		journal_sync.sync()
		self.journal.end_step(id, step, "done", "nothing runs")
		job = {"job": "j1", "method": "frappe.ping", "site": frappe.local.site, "fate": "held"}
		self.journal.write_report(id, records.COMPLETED, 0, "done", {"affected": [job]})
		journal_sync.sync()
		doc = frappe.get_doc(DOCTYPE, id)
		self.assertEqual(
			[(s.step, s.status, s.detail) for s in doc.steps], [("drain", "done", "nothing runs")]
		)
		self.assertEqual([(j.job, j.fate) for j in doc.affected], [("j1", "held")])

	def test_a_retry_that_ends_the_same_way_is_not_missed(self):
		id = self.typed()
		self.end(id, records.FAILED, 1)
		journal_sync.sync()
		self.journal.ask_again(id)
		self.journal.write_report(id, records.FAILED, 1, "failed again", None)
		journal_sync.sync()
		self.assertEqual(frappe.db.get_value(DOCTYPE, id, "outcome"), "failed again")

	def test_several_at_the_same_time_make_one_document_each(self):
		ids = [self.typed() for _ in range(5)]
		code = (
			f"import frappe; frappe.init({frappe.local.site!r}); frappe.connect();"
			"from safe_restart.desk.journal_sync import sync; sync()"
		)
		running = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(3)]
		for one in running:
			_, errors = one.communicate(timeout=400)
			self.assertEqual((one.returncode, errors), (0, b""))
		frappe.db.rollback()
		self.assertEqual(frappe.db.count(DOCTYPE, {"name": ("in", ids)}), 5)
		self.assertFalse(frappe.db.exists("Error Log", {"method": ("like", "Safe Restart%")}))
		for id in ids:
			self.end(id)

	def test_a_document_that_never_reached_the_journal_says_so(self):
		with self.set_user(MANAGER):
			name = api.request("rolling")["request"]
		frappe.db.after_commit.reset()  # as if this process died right after its commit
		frappe.db.commit()
		journal_sync.sync()
		self.assertEqual(frappe.db.get_value(DOCTYPE, name, "status"), "Queued")
		frappe.db.set_value(DOCTYPE, name, "creation", add_to_date(now_datetime(), minutes=-2))
		journal_sync.sync()
		self.assertEqual(frappe.db.get_value(DOCTYPE, name, "status"), "Failed")

	def test_one_that_fails_does_not_keep_the_others(self):
		first, second = self.typed(), self.typed()
		self.end(first)
		self.end(second)
		self.make(
			doctype="Notification",
			name="Breaks",
			document_type=DOCTYPE,
			event="New",
			condition=f"doc.name == {first!r} and doc.nothing.nothing",
			channel="System Notification",
			subject="x",
			message="x",
			recipients=[{"receiver_by_role": "System Manager"}],
		)
		self.addCleanup(frappe.db.delete, "Error Log", {"method": ("like", "%Safe Restart%")})
		journal_sync.sync()
		self.assertEqual([bool(frappe.db.exists(DOCTYPE, id)) for id in (first, second)], [False, True])
