import frappe

from safe_restart.tests import DOCTYPE, MANAGER, ONLY_SCHEDULER, PLAIN, TestCase

from .. import api
from ..desk import hook_runner, journal_sync

READING = {"overview": {}, "preview": {}, "history": {}, "progress": {"request": "x"}}
CHANGING = {
	"request": {"strategy": "rolling"},
	"cancel": {"request": "x"},
	"requeue": {"job": "x"},
	"discard": {"job": "x"},
}
METHODS = {**READING, **CHANGING}


class TestWhoMayAsk(TestCase):
	def test_each_whitelisted_method_is_covered_by_these_tests(self):
		whitelisted = {method.__name__ for method in frappe.whitelisted if method.__module__ == api.__name__}
		self.assertEqual(whitelisted, set(METHODS))

	def test_no_method_answers_a_guest_or_a_user_without_the_role_and_nothing_is_written(self):
		for who in ("Guest", PLAIN):
			for name, arguments in METHODS.items():
				with self.subTest(user=who, method=name), self.set_user(who):
					self.assertRaises(frappe.PermissionError, getattr(api, name), **arguments)
		self.assertEqual(self.asked, [])
		self.assertEqual(
			frappe.db.count(DOCTYPE, {"creation": (">", frappe.utils.add_to_date(None, minutes=-1))}), 0
		)

	def test_over_http_it_is_the_same(self):
		for who in (None, PLAIN):
			for name, arguments in METHODS.items():
				with self.subTest(user=who, method=name):
					status, _ = self.http(f"method/safe_restart.api.{name}", who, **arguments)
					self.assertEqual(status, 403)
			self.assertEqual(self.http(f"resource/{DOCTYPE}", who, strategy="rolling")[0], 403)
		self.assertEqual(self.asked, [])

	def test_the_page_is_for_system_managers(self):
		for who, allowed in ((None, False), (PLAIN, False), (MANAGER, True)):
			status, _ = self.http(
				"method/frappe.desk.desk_page.getpage", who, method="GET", name="safe-restart"
			)
			self.assertEqual(status == 200, allowed, who)

	def test_what_changes_something_is_not_done_by_get(self):
		for name, arguments in CHANGING.items():
			status, _ = self.http(f"method/safe_restart.api.{name}", MANAGER, method="GET", **arguments)
			self.assertEqual(status, 403, name)
		self.assertEqual(self.asked, [])

	def test_a_system_manager_is_answered(self):
		for name in ("overview", "preview", "history"):
			status, body = self.http(f"method/safe_restart.api.{name}", MANAGER)
			self.assertEqual(status, 200, body)
		self.assertEqual(
			self.http("method/safe_restart.api.overview", MANAGER)[1]["message"]["site"], frappe.local.site
		)

	def test_who_asks_for_too_much_in_a_minute_is_stopped(self):
		self.addCleanup(frappe.cache.delete_keys, "rl:safe_restart.api.cancel")
		answers = [
			self.http("method/safe_restart.api.cancel", MANAGER, request="x")[0]
			for _ in range(api.CHANGES_PER_MINUTE + 1)
		]
		self.assertEqual(answers, [417] * api.CHANGES_PER_MINUTE + [429])


class TestSeveralSites(TestCase):
	def test_a_site_that_the_bench_does_not_name_is_refused(self):
		self.add_site()
		with self.set_user(MANAGER):
			for name, arguments in METHODS.items():
				with self.subTest(method=name):
					self.assertRaisesRegex(
						frappe.ValidationError, "may not ask for restarts", getattr(api, name), **arguments
					)
			doc = frappe.new_doc(DOCTYPE)
			self.assertRaisesRegex(frappe.ValidationError, "may not ask for restarts", doc.insert)
			settings = frappe.get_doc("Safe Restart Settings")
			self.assertRaisesRegex(frappe.ValidationError, "may not ask for restarts", settings.save)
		self.assertEqual(self.asked, [])

	def test_nor_does_such_a_site_see_requests_of_others(self):
		self.add_site()
		id = self.typed()
		self.end(id)
		journal_sync.sync()
		self.assertFalse(frappe.db.exists(DOCTYPE, id))

	def test_a_site_that_is_named_may_ask(self):
		self.add_site()
		self.configure(sites=[frappe.local.site])
		with self.set_user(MANAGER):
			self.assertEqual(api.overview()["site"], frappe.local.site)


class TestRefusals(TestCase):
	def refuses(self, sentence: str, *arguments, **named):
		with self.set_user(MANAGER):
			self.assertRaisesRegex(frappe.ValidationError, sentence, api.request, *arguments, **named)
		frappe.db.commit()
		self.assertEqual(self.asked, [])

	def test_only_the_options_of_the_board_are_passed_on(self):
		for option in ("sites", "hold_seconds", "supervisor_socket", "bench"):
			self.refuses("Unknown option", "rolling", {option: "x"})

	def test_an_option_that_means_nothing_is_refused(self):
		self.refuses("is no strategy", "rm -rf")
		self.refuses("is no restart", "drain")
		self.refuses("is no service", "rolling", {"only": ["nginx"]})
		self.refuses("names no service", "rolling", {"only": []})
		self.refuses("must be a number of seconds", "rolling", {"wait_workers_timeout": "soon"})
		self.refuses("must be one of", "rolling", {"interrupted": "delete"})
		self.refuses("Redis cannot be restarted with", "rolling", {"only": ["redis"]})
		self.refuses("--migrate cannot go with", "now", {"migrate": True}, confirm=frappe.local.site)

	def test_who_interrupts_jobs_types_the_name_of_the_site(self):
		for strategy in ("suspend-rq", "now"):
			self.refuses("Confirm it with the name of this site", strategy)
			self.refuses("Confirm it with the name of this site", strategy, confirm="another")

	def test_who_overrides_a_blocker_says_why(self):
		self.refuses("says why", "rolling", override_blockers=True, reason=" ")


class TestAppsObject(TestCase):
	def test_an_objection_is_shown_and_refuses_the_restart(self):
		with self.set_user(MANAGER), self.hooks(safe_restart_blockers=["objects", "agrees"]):
			said = {"by": "safe_restart.tests.app.objects", "sentence": "payroll is being submitted"}
			self.assertEqual(api.preview()["blockers"], [said])
			self.assertRaisesRegex(
				frappe.ValidationError, "payroll is being submitted", api.request, "rolling"
			)

	def test_a_person_may_override_it_with_a_reason(self):
		with self.set_user(MANAGER), self.hooks(safe_restart_blockers=["objects"]):
			name = api.request("rolling", ONLY_SCHEDULER, "payroll waits", override_blockers=True)["request"]
			self.assertTrue(frappe.get_doc(DOCTYPE, name).override_blockers)
		frappe.db.rollback()

	def test_one_that_fails_or_hangs_objects(self):
		limit, hook_runner.TIME_LIMIT_SECONDS = hook_runner.TIME_LIMIT_SECONDS, 1
		try:
			with self.hooks(safe_restart_blockers=["fails", "hangs"]):
				first, second = (hook_runner.ask_blockers() for _ in range(2))
		finally:
			hook_runner.TIME_LIMIT_SECONDS = limit
		self.assertIn("no such table", first[0]["sentence"])
		self.assertIn("has not answered within 1 s", first[1]["sentence"])
		self.assertEqual(first, second)

	def test_what_fails_in_an_app_that_is_told_of_a_restart_is_reported(self):
		with self.hooks(before_safe_restart=["told"], after_safe_restart=["told"]):
			self.assertEqual(hook_runner.run_before("20261122-000000-abcd"), [])
			self.assertEqual(hook_runner.run_after("20261122-000000-abcd", "completed"), [])
			(said,) = hook_runner.run_after("20261122-000000-abcd", "failed")
		self.assertIn("20261122-000000-abcd", said["sentence"])
