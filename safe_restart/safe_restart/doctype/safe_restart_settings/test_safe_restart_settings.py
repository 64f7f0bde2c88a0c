import frappe

from safe_restart import api
from safe_restart.tests import MANAGER, PLAIN, TestCase

from ....engine.jobs import retry_policy

NAME = "Safe Restart Settings"


class TestSettings(TestCase):
	def setUp(self):
		super().setUp()
		self.configure()  # the file is as before when the test is over

	def test_they_reach_the_engine_and_the_board(self):
		with self.set_user(MANAGER):
			settings = frappe.get_doc(NAME)
			settings.update({"max_attempts": 5, "retry_delays_seconds": "0, 30", "force_kill_timeout": 0})
			settings.update({"default_strategy": "wait-workers", "wait_workers_timeout": 90})
			settings.set("job_policies", [{"method": "my_app.payments.transfer", "action": "hold"}])
			settings.save()
			defaults = api.overview()["defaults"]
		rules = retry_policy.of_bench(self.bench)
		self.assertEqual((rules.max_attempts, rules.delays_seconds), (5, (0, 30)))
		self.assertEqual(dict(rules.methods)["my_app.payments.transfer"], "hold")
		self.assertEqual(
			(defaults["strategy"], defaults["wait_workers_timeout"], defaults["force_kill_timeout"]),
			("wait-workers", 90, 0),
		)

	def test_the_form_shows_what_stands_in_the_file(self):
		self.configure(max_attempts=7, job_policy={"a.b": "fail"}, defaults={"interrupted": "hold"})
		settings = frappe.get_doc(NAME)
		self.assertEqual((settings.max_attempts, settings.interrupted), (7, "hold"))
		self.assertEqual([(row.method, row.action) for row in settings.job_policies], [("a.b", "fail")])
		settings.save()
		self.assertEqual(self.bench.settings.job_policy, {"a.b": "fail"})

	def test_other_settings_of_the_bench_stay(self):
		self.configure(supervisor_socket="/nowhere", sites=[frappe.local.site])
		frappe.get_doc(NAME).save()
		self.assertEqual(self.bench.settings.supervisor_socket, "/nowhere")
		self.assertEqual(self.bench.settings.sites, (frappe.local.site,))

	def test_what_the_engine_would_refuse_is_not_written(self):
		before = self.bench.config
		for wrong in (
			{"max_attempts": 0},
			{"retry_delays_seconds": "soon"},
			{"retry_delays_seconds": "-1"},
			{"force_kill_timeout": "soon"},
			{"default_strategy": "drain"},
		):
			with self.subTest(wrong), self.set_user(MANAGER):
				self.assertRaises(frappe.ValidationError, frappe.get_doc(NAME).update(wrong).save)
		self.assertEqual(self.bench.config, before)

	def test_a_user_without_the_role_does_not_write_them(self):
		with self.set_user(PLAIN):
			self.assertRaises(frappe.PermissionError, frappe.get_doc(NAME).save)

	def test_installing_the_app_writes_nothing_into_the_file(self):
		before = self.bench.config
		settings = frappe.new_doc(NAME)
		settings.flags.ignore_validate = True  # as frappe.installer.init_singles does
		settings.save()
		self.assertEqual(self.bench.config, before)
