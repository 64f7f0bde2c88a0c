import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import frappe

from safe_restart.tests import DOCTYPE, MANAGER, ONLY_SCHEDULER, TestCase

from .... import api
from ....desk import install, journal_sync
from ....engine.state import records

CHOSEN = (
	"strategy services migrate migrate_timeout wait_workers_timeout force_kill_timeout interrupted reason "
	"override_blockers requested_by status"
).split()


class TestAsking(TestCase):
	def test_a_request_over_rest_restarts_and_its_document_tells_the_truth(self):
		status, body = self.http(f"resource/{DOCTYPE}", MANAGER, services="scheduler", reason="over REST")
		self.assertEqual(status, 200, body)
		name = body["data"]["name"]
		request = self.wait(name)
		self.assertEqual((request.exit_code, request.requested_by), (0, MANAGER), request.outcome)
		journal_sync.sync()
		doc = frappe.get_doc(DOCTYPE, name)
		self.assertEqual((doc.status, doc.outcome, doc.exit_code), ("Completed", request.outcome, "0"))
		self.assertEqual([step.step for step in doc.steps], [step.name for step in self.journal.steps(name)])

	def test_inserting_is_the_same_as_clicking(self):
		options = {
			**ONLY_SCHEDULER,
			"wait_workers_timeout": 20,
			"force_kill_timeout": 0,
			"interrupted": "hold",
		}
		with self.set_user(MANAGER):
			clicked = frappe.get_doc(DOCTYPE, api.request("wait-workers", options, "why")["request"])
			values = {**options, "services": options["only"], "strategy": "wait-workers", "reason": "why"}
			inserted = frappe.get_doc({"doctype": DOCTYPE, **values}).insert()
		self.assertEqual(*({key: doc.get(key) for key in CHOSEN} for doc in (clicked, inserted)))
		self.assertEqual(clicked.flags.options, None)
		frappe.db.rollback()

	def test_what_is_left_open_is_as_the_settings_say(self):
		self.configure(
			defaults={"strategy": "wait-workers", "wait_workers_timeout": 42, "force_kill_timeout": 7}
		)
		with self.set_user(MANAGER):
			doc = frappe.new_doc(DOCTYPE).insert()
		self.assertEqual(
			(doc.strategy, doc.wait_workers_timeout, doc.force_kill_timeout), ("wait-workers", 42, "7")
		)
		frappe.db.rollback()

	def test_a_migration_is_one_of_this_site(self):
		with self.set_user(MANAGER):
			doc = frappe.get_doc({"doctype": DOCTYPE, "migrate": 1}).insert()
		self.assertEqual((doc.strategy, doc.flags.options["sites"]), ("wait-workers", (frappe.local.site,)))
		frappe.db.rollback()

	def test_no_field_of_the_report_can_be_sent_along(self):
		forged = {
			"doctype": DOCTYPE,
			"name": "20200101-000000-aaaa",
			"requested_by": "ceo@example.com",
			"status": "Completed",
			"outcome": "all fine",
			"exit_code": "0",
			"steps": [{"step": "drain", "status": "done"}],
			"flags": {"from_journal": True, "ignore_permissions": True},
		}
		with self.set_user(MANAGER):
			doc = frappe.get_doc(forged).insert()
		doc.reload()
		self.assertNotEqual(doc.name, forged["name"])
		self.assertEqual((doc.requested_by, doc.status), (MANAGER, "Queued"))
		self.assertEqual((doc.outcome, doc.exit_code, doc.steps), (None, None, []))
		frappe.db.rollback()

	def test_its_name_cannot_be_chosen_through_another_field(self):
		with self.set_user(MANAGER):
			doc = frappe.get_doc({"doctype": DOCTYPE, "amended_from": "20200101-000000-aaaa"}).insert()
		self.assertNotIn("20200101", doc.name)
		frappe.db.rollback()

	def test_restarts_are_not_imported(self):
		frappe.flags.in_import = True
		try:
			self.assertRaises(frappe.ValidationError, frappe.new_doc(DOCTYPE).insert)
		finally:
			frappe.flags.in_import = False

	def test_a_rollback_starts_nothing(self):
		with self.set_user(MANAGER):
			api.request("rolling")
		frappe.db.rollback()
		frappe.db.commit()
		self.assertEqual(self.asked, [])

	def test_a_helper_that_cannot_be_started_fails_the_request_with_the_reason(self):
		log = self.bench.state_path / "helper.log"
		if log.exists():
			moved = log.rename(log.with_suffix(".moved"))
			self.addCleanup(moved.rename, log)
		log.mkdir()
		self.addCleanup(log.rmdir)
		with self.set_user(MANAGER):
			name = api.request("rolling")["request"]
			frappe.db.commit()
		doc = frappe.get_doc(DOCTYPE, name)
		self.assertEqual(doc.status, "Failed")
		self.assertRegex(doc.outcome, "helper could not be started.*Nothing was touched")
		self.assertEqual(self.asked, [])


class TestTheReportStands(TestCase):
	def setUp(self):
		super().setUp()
		id = self.typed()
		self.journal.end_step(id, self.journal.start_step(id, "drain"), "done")
		self.end(id, records.FAILED, 1)
		journal_sync.sync()
		self.doc = frappe.get_doc(DOCTYPE, id)

	def test_nobody_changes_renames_or_deletes_it(self):
		name = self.doc.name
		attempts = {
			"save": lambda: frappe.get_doc(DOCTYPE, name).update({"status": "Completed"}).save(),
			"save unchecked": lambda: frappe.get_doc(DOCTYPE, name).save(ignore_permissions=True),
			"set_value": lambda: frappe.client.set_value(DOCTYPE, name, "status", "Completed"),
			"client.save": lambda: frappe.client.save({**self.doc.as_dict(), "flags": {"from_journal": 1}}),
			"delete": lambda: frappe.delete_doc(DOCTYPE, name),
			"delete by force": lambda: frappe.delete_doc(DOCTYPE, name, force=True, ignore_permissions=True),
			"rename": lambda: frappe.rename_doc(DOCTYPE, name, "20200101-000000-aaaa", force=True),
			"step": lambda: frappe.get_doc(self.doc.steps[0].doctype, self.doc.steps[0].name).save(),
			"step deleted": lambda: frappe.delete_doc(self.doc.steps[0].doctype, self.doc.steps[0].name),
			"step added": lambda: frappe.get_doc({**self.doc.steps[0].as_dict(), "name": None}).insert(),
		}
		if hasattr(self.doc, "discard"):
			attempts["discard"] = lambda: frappe.get_doc(DOCTYPE, name).discard()
		for user in ("Administrator", MANAGER):
			for name_of_attempt, attempt in attempts.items():
				with self.subTest(user=user, attempt=name_of_attempt), self.set_user(user):
					self.assertRaises((frappe.PermissionError, frappe.ValidationError), attempt)
		self.assertEqual(frappe.get_doc(DOCTYPE, name).as_dict(), self.doc.as_dict())

	def test_over_http_neither(self):
		for method, values in (
			("PUT", {"status": "Completed", "flags": {"from_journal": 1}}),
			("DELETE", {}),
		):
			status, _ = self.http(f"resource/{DOCTYPE}/{self.doc.name}", MANAGER, method=method, **values)
			self.assertEqual(status, 403, method)
		self.assertEqual(frappe.get_doc(DOCTYPE, self.doc.name).as_dict(), self.doc.as_dict())


class TestOthersAreTold(TestCase):
	def test_a_notification_on_a_change_of_status_is_sent(self):
		self.make(
			doctype="Notification",
			name="Restart Told",
			document_type=DOCTYPE,
			event="Value Change",
			value_changed="status",
			channel="System Notification",
			subject="{{ doc.name }} is {{ doc.status }}",
			message="-",
			recipients=[{"receiver_by_role": "System Manager"}],
		)
		id = self.typed()
		journal_sync.sync()
		self.assertFalse(self.told(id))
		self.end(id)
		journal_sync.sync()
		self.assertEqual(self.told(id), {f"{id} is Completed"})

	def test_a_failed_restart_is_told_by_what_comes_with_the_app(self):
		install.add_notification()
		id = self.typed()
		journal_sync.sync()
		self.end(id, records.FAILED, 1)
		journal_sync.sync()
		self.assertEqual(self.told(id), {f"Restart {id} failed"})

	def told(self, id: str) -> set[str]:
		return set(
			frappe.get_all("Notification Log", {"document_name": id, "for_user": MANAGER}, pluck="subject")
		)

	def test_a_webhook_is_called(self):
		received = []

		class Receiver(BaseHTTPRequestHandler):
			def do_POST(self):
				received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
				self.send_response(200)
				self.end_headers()

			def log_message(self, *_):
				pass

		server = HTTPServer(("127.0.0.1", 0), Receiver)
		threading.Thread(target=server.serve_forever, daemon=True).start()
		self.addCleanup(server.server_close)
		self.addCleanup(server.shutdown)
		self.make(
			doctype="Webhook",
			name="Restart Told",
			webhook_doctype=DOCTYPE,
			webhook_docevent="on_update",
			enabled=1,
			request_url=f"http://127.0.0.1:{server.server_port}/",
			request_method="POST",
			request_structure="Form URL-Encoded",
			webhook_headers=[{"key": "Content-Type", "value": "application/json"}],
			webhook_data=[{"fieldname": "name", "key": "request"}, {"fieldname": "status", "key": "status"}],
		)
		id = self.typed()
		journal_sync.sync()
		self.end(id)
		journal_sync.sync()
		self.assertIn({"request": id, "status": "Completed"}, received)
