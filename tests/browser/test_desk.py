"""The desk of a real Frappe bench, in a real browser, through its own web server.

FRAPPE_BENCH and FRAPPE_SITE name a bench that runs and a site of it with the app; without them ~/frappe-bench is taken, if
it answers. FRAPPE_URL where nginx listens elsewhere than on the first port of the bench's nginx.conf. The tests restart it.
"""

import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.browser import launch, listen, open_dialog, submit

BENCH = Path(os.environ.get("FRAPPE_BENCH", "~/frappe-bench")).expanduser()
SITE = os.environ.get("FRAPPE_SITE", "site1.localhost")
MANAGER, PLAIN, PASSWORD = "desk-manager@example.com", "desk-plain@example.com", "Quiet-Harbour-71"
JOB_SECONDS = 30
# Frappe's own, seen with no app but Frappe: realtime is refused while socketio is away, and reconnects by itself.
FRAPPES_OWN = re.compile(
	r"status of 40[34]|No read permission for Page|socket\.io|WebSocket connection|Error connecting to socket|\[Violation\]|preload"
)
METHODS = {
	"overview": {},
	"preview": {},
	"request": {"strategy": "rolling"},
	"progress": {"request": "x"},
	"cancel": {"request": "x"},
	"requeue": {"job": "x"},
	"discard": {"job": "x"},
	"history": {},
}

# Runs in the bench's own Python, in sites/. Prints one line of JSON.
PREPARE = """
import frappe, json
frappe.init({site!r}); frappe.connect()
for name, role in (({manager!r}, "System Manager"), ({plain!r}, "Report Manager")):
	if not frappe.db.exists("User", name):
		values = dict(doctype="User", email=name, first_name=name.split("@")[0], send_welcome_email=0, language="en")
		frappe.get_doc(dict(values, roles=[dict(role=role)])).insert()
	from frappe.utils.password import update_password
	update_password(name, {password!r})
frappe.db.commit()
print(json.dumps("safe_restart" in frappe.get_installed_apps()))
"""
ENQUEUE = """
import frappe, json
frappe.init({site!r}); frappe.connect()
job = frappe.enqueue("frappe.core.doctype.rq_job.test_rq_job.test_func", queue="long", sleep={seconds})
print(json.dumps(job.id))
"""
LOOK_AT_JOB = """
import frappe, json
frappe.init({site!r}); frappe.connect()
from frappe.utils.background_jobs import get_redis_conn
from rq.job import Job
job = Job.fetch({job!r}, connection=get_redis_conn())
status = job.get_status()
print(json.dumps([getattr(status, "value", status), job.started_at.timestamp()]))
"""
DOCUMENT = """
import frappe, json
frappe.init({site!r}); frappe.connect()
print(frappe.as_json(frappe.get_doc("Restart Request", {name!r}), indent=None))
"""

POST = """async ([method, values]) => {
	const headers = { "Content-Type": "application/json", "X-Frappe-CSRF-Token": frappe.csrf_token };
	return (await fetch(`/api/method/${method}`, { method: "POST", headers, body: JSON.stringify(values) })).status;
}"""


def in_frappe(code: str, **values) -> object:
	"""What a snippet prints on its last line."""
	done = subprocess.run(
		[BENCH / "env/bin/python", "-c", code.format(site=SITE, **values)],
		cwd=BENCH / "sites",
		capture_output=True,
		text=True,
		timeout=400,
	)
	assert done.returncode == 0, done.stderr
	return json.loads(done.stdout.splitlines()[-1])


def address() -> str:
	"""Where the bench's nginx listens."""
	if named := os.environ.get("FRAPPE_URL"):
		return named.rstrip("/")
	found = re.search(r"listen (?:[\d.]+:)?(\d+)", (BENCH / "config/nginx.conf").read_text())
	return f"http://{SITE}:{found.group(1)}"


def why_not() -> str:
	"""Why there is no desk to be tested here; empty where there is one."""
	if not (BENCH / "sites" / SITE).is_dir():
		return f"{BENCH} has no site {SITE}; FRAPPE_BENCH and FRAPPE_SITE name a real one"
	try:
		request = urllib.request.Request(f"{local(address())}/api/method/ping", headers={"Host": SITE})
		urllib.request.urlopen(request, timeout=10).close()
	except (OSError, AttributeError) as error:
		return f"{BENCH} does not answer ({error}); start it and its nginx"
	is_installed = in_frappe(PREPARE, manager=MANAGER, plain=PLAIN, password=PASSWORD)
	return "" if is_installed else f"safe_restart is not installed on {SITE}"


def local(url: str) -> str:
	"""Browsers resolve *.localhost by themselves; Python leaves that to the system."""
	return url.replace(SITE, "127.0.0.1") if SITE.endswith(".localhost") else url


@pytest.fixture(scope="module", autouse=True)
def desk() -> str:
	if reason := why_not():
		pytest.skip(reason)
	return address()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
	with sync_playwright() as playwright:
		browser = launch(playwright)
		yield browser
		browser.close()


@pytest.fixture
def page(browser) -> Iterator[Page]:
	context = browser.new_context(viewport={"width": 1280, "height": 1000})
	page = context.new_page()
	said = listen(page)
	yield page
	context.close()
	assert [text for text in said if not FRAPPES_OWN.search(text)] == []


def log_in(page: Page, desk: str, user: str) -> None:
	page.goto(f"{desk}/login")
	page.locator("#login_email").fill(user)
	page.locator("#login_password").fill(PASSWORD)
	page.locator(".form-login .btn-login").click()
	page.wait_for_function("window.frappe?.boot?.user?.name")


def open_board(page: Page, desk: str) -> None:
	page.goto(f"{desk}/app/safe-restart")
	expect(page.locator(".sr-card-workers")).to_be_visible()


def test_a_restart_by_click_waits_for_the_running_job_and_the_page_survives_it(page, desk):
	# Given a job that runs for half a minute
	log_in(page, desk, MANAGER)
	open_board(page, desk)
	job = in_frappe(ENQUEUE, seconds=JOB_SECONDS)
	expect(page.locator(".sr-card-workers")).to_contain_text("test_func")
	# When a System Manager looks at the preview and clicks
	open_dialog(page, "wait-workers")
	expect(page.locator("dialog .sr-preview")).to_contain_text("finishes first")
	page.locator("input[name=reason]").fill("clicked in the desk")
	clicked_at = time.time()
	submit(page).click()
	expect(page.locator("dialog")).to_have_count(0)
	# Then the page that was open tells of its end, without being loaded again
	page.evaluate("window.still_here = true")
	name = page.evaluate("frappe.pages['safe-restart'].board.followed_request")
	restart = page.locator(".sr-card-restart")
	expect(restart).to_contain_text(name)
	expect(restart).to_contain_text("no job interrupted", timeout=(JOB_SECONDS + 60) * 1000)
	assert page.evaluate("window.still_here")
	# and the job has finished, and never began again
	status, began_at = in_frappe(LOOK_AT_JOB, job=job)
	assert status == "finished" and began_at < clicked_at
	# and history and document say so
	expect(page.locator(".sr-card-history tbody tr").first).to_contain_text("clicked in the desk")
	document = in_frappe(DOCUMENT, name=name)
	assert document["status"] == "Completed", document["outcome"]
	assert (document["requested_by"], document["exit_code"], document["strategy"]) == (
		MANAGER,
		"0",
		"wait-workers",
	)
	assert [row["fate"] for row in document["affected"] if row["job"] == job] == ["finished"]
	assert document["jobs_finished_during"] >= 1  # Frappe's scheduler may have had jobs of its own beside it
	assert document["jobs_interrupted"] == 0 and document["workers_still_old"] == 0
	assert [step["status"] for step in document["steps"]] == ["done"] * len(document["steps"])
	page.goto(f"{desk}/app/restart-request/{name}")
	expect(page.get_by_text("clicked in the desk").first).to_be_visible()
	expect(page.get_by_role("button", name="Save")).to_have_count(0)


def test_a_user_without_the_role_gets_neither_the_page_nor_an_answer(page, desk):
	log_in(page, desk, PLAIN)
	page.goto(f"{desk}/app/safe-restart")
	expect(page.get_by_text("Not permitted").or_(page.get_by_text("not found")).first).to_be_visible()
	assert page.locator(".safe-restart").count() == 0
	for method, arguments in METHODS.items():
		assert page.evaluate(POST, [f"safe_restart.api.{method}", arguments]) == 403, method


def test_the_lists_of_jobs_and_workers_and_the_workspace_lead_to_the_page(page, desk):
	log_in(page, desk, MANAGER)
	for place in ("rq-job", "rq-worker", "restart-request"):
		page.goto(f"{desk}/app/{place}")
		page.get_by_role("button", name="Safe Restart").first.click()
		expect(page.locator(".sr-card-workers")).to_be_visible()


def test_the_desk_says_why_a_restart_is_refused(page, desk):
	log_in(page, desk, MANAGER)
	open_board(page, desk)
	refusal = page.evaluate(
		"frappe.pages['safe-restart'].board.call('request', {strategy: 'now'}).catch((e) => [e.refused, e.message])"
	)
	assert refusal[0] is True and SITE in refusal[1] and "<" not in refusal[1]
	gone = page.evaluate(
		"frappe.pages['safe-restart'].board.call('no_such_method', {}).catch((e) => e.refused)"
	)
	assert gone is not None
	assert page.locator(".msgprint-dialog, .modal.show").count() == 0
