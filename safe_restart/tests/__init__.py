"""Tests of the Frappe side, on a real site of a real bench: `bench --site SITE run-tests --app safe_restart`.

What they ask for restarts the scheduler of that bench, twice or so, and nothing else.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import frappe
from werkzeug.test import Client

from ..engine.core import bench as benches
from ..engine.core.bench import Bench
from ..engine.sites.maintenance import write_config
from ..engine.state import journal as journals
from ..engine.state import records
from ..engine.state.journal import Journal

try:
	from frappe.tests import IntegrationTestCase
	from frappe.tests.classes.context_managers import patch_hooks
except ImportError:  # Frappe 15
	from frappe.tests.utils import FrappeTestCase as IntegrationTestCase
	from frappe.tests.utils import patch_hooks

MANAGER, PLAIN = "restart-manager@example.com", "restart-plain@example.com"
ONLY_SCHEDULER = {"only": ["scheduler"]}
DOCTYPE = "Restart Request"

tokens: dict[str, str] = {}  # key and secret for REST, by user


class TestCase(IntegrationTestCase):
	"""A site with a System Manager and a desk user without that role; what a test made is gone after it."""

	def setUp(self):
		super().setUp()
		frappe.set_user("Administrator")
		if not tokens:
			tokens.update({MANAGER: user(MANAGER, "System Manager"), PLAIN: user(PLAIN, "Report Manager")})
		frappe.db.commit()  # HTTP requests and the helper have connections of their own
		self.before = {request.id for request in self.journal.requests(journals.KEPT_REQUESTS)}
		self.addCleanup(self.forget)

	@property
	def bench(self) -> Bench:
		return benches.load(frappe.utils.get_bench_path())

	@property
	def journal(self) -> Journal:
		return Journal(self.bench)

	@property
	def asked(self) -> list[str]:
		"""The requests that were written into the journal since the test began."""
		return [r.id for r in self.journal.requests(journals.KEPT_REQUESTS) if r.id not in self.before]

	def forget(self) -> None:
		frappe.set_user("Administrator")
		frappe.db.rollback()
		for id in self.asked:
			self.wait(id)
			for table, column in (("requests", "id"), ("steps", "request"), ("events", "request")):
				self.journal.db.execute(f"DELETE FROM {table} WHERE {column} = ?", (id,))
		kept = self.journal.requests(journals.KEPT_REQUESTS)
		for name in frappe.get_all(DOCTYPE, {"name": ("not in", [""] + [r.id for r in kept])}, pluck="name"):
			for doctype in ("Restart Request Step", "Restart Request Job"):
				frappe.db.delete(doctype, {"parent": name})
			frappe.db.delete(DOCTYPE, {"name": name})
		frappe.db.commit()

	def wait(self, id: str) -> records.Request:
		"""Wait until a request has ended, at most a minute."""
		until = time.monotonic() + 60
		while (request := self.journal.request(id)).is_open and time.monotonic() < until:
			time.sleep(0.1)
		self.assertFalse(request.is_open, f"request {id} is still {request.status}")
		return request

	def typed(self, reason: str = "typed") -> str:
		"""A request as the command line writes it, which no helper begins."""
		id = self.journal.add("rolling", {"only": ["web"]}, "frappe", reason).id
		self.addCleanup(self.end, id)
		return id

	def end(self, id: str, status: str = records.COMPLETED, exit_code: int = 0) -> None:
		self.journal.write_report(id, status, exit_code, "2 of 2 workers replaced.", None)

	def http(self, path: str, user: str | None = None, method: str = "POST", **values):
		"""Send a request to Frappe's WSGI application, in a thread with a connection, session and user of its own."""
		headers = {"X-Frappe-Site-Name": frappe.local.site, "Accept": "application/json"}
		if user:
			headers["Authorization"] = f"token {tokens[user]}"

		def send():
			from frappe.app import application

			body = {"query_string": values} if method == "GET" else {"json": values}
			answer = Client(application).open(f"/api/{path}", method=method, headers=headers, **body)
			return answer.status_code, answer.get_json(silent=True)

		with ThreadPoolExecutor(1) as pool:
			answer = pool.submit(send).result()
		frappe.db.rollback()  # sees what that request committed
		return answer

	def configure(self, **settings) -> None:
		"""Set keys of `safe_restart` in common_site_config.json until the test is over."""
		path = self.bench.sites_path / "common_site_config.json"
		before = json.loads(path.read_text())
		self.addCleanup(write_config, path, before)
		write_config(path, {**before, "safe_restart": {**(before.get("safe_restart") or {}), **settings}})

	def hooks(self, **functions: list[str]):
		"""Let an app name these functions of tests/app.py in its hooks."""
		return patch_hooks(
			{hook: [f"safe_restart.tests.app.{one}" for one in ones] for hook, ones in functions.items()}
		)

	def make(self, **values):
		"""Insert a document that other connections see too, until the test is over."""
		doc = frappe.get_doc(values).insert()
		frappe.db.commit()
		self.addCleanup(frappe.db.commit)
		self.addCleanup(frappe.delete_doc, doc.doctype, doc.name)
		return doc

	def add_site(self) -> None:
		"""Let the bench have a second site until the test is over."""
		folder = Path(self.bench.sites_path, "safe-restart-second.localhost")
		folder.mkdir()
		(folder / "site_config.json").write_text("{}")
		self.addCleanup(folder.rmdir)
		self.addCleanup((folder / "site_config.json").unlink)


def user(name: str, role: str) -> str:
	"""Make the user where it is missing; returns key and secret for REST."""
	if not frappe.db.exists("User", name):
		values = {"doctype": "User", "email": name, "first_name": name.split("@")[0], "send_welcome_email": 0}
		frappe.get_doc({**values, "roles": [{"role": role}]}).insert()
	doc = frappe.get_doc("User", name)
	doc.api_key, doc.api_secret = frappe.generate_hash(length=15), frappe.generate_hash(length=15)
	secret = doc.api_secret
	doc.save()
	return f"{doc.api_key}:{secret}"
