"""The board in a real browser, on a real bench: what it shows, what it asks for, and that it survives the restart."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from safe_restart.demo import app
from safe_restart.demo.templates import THREADED
from safe_restart.engine.sites.visibility import SiteVisibility
from safe_restart.engine.state.journal import Journal
from safe_restart.engine.views import board
from tests.support.browser import (
	faint_texts,
	figure,
	launch,
	listen,
	open_board,
	open_dialog,
	scrolls_sideways,
	stand_in,
	submit,
)
from tests.support.health import assert_bench_is_healthy
from tests.support.load import end_jobs, run_long
from tests.support.waiting import wait_for

ALL = SiteVisibility(None)
HOSTILE = '<img src=x onerror="window.hacked = true"><script>window.hacked = true</script>'


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
	with sync_playwright() as playwright:
		browser = launch(playwright)
		yield browser
		browser.close()


@pytest.fixture
def page(browser) -> Iterator[Page]:
	"""A page 1280 wide. Whatever it says on its console or throws fails the test at its end."""
	context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
	page = context.new_page()
	said = listen(page)
	yield page
	context.close()
	assert said == []


@pytest.fixture
def demo(make_bench):
	"""A bench whose web is away long enough for a person to notice."""
	return make_bench(boot_seconds=1, gunicorn_options=THREADED)


def newest(demo):
	return Journal(demo.bench).requests(1)[0]


def test_the_board_shows_workers_with_their_jobs_queues_and_services(demo, page):
	jobs = run_long(demo, 2, 8)
	open_board(page, demo)
	workers = page.locator(".sr-card-workers tbody tr")
	expect(workers).to_have_count(3)
	expect(workers.first).to_contain_text("demo.work_for")
	expect(workers.first).to_contain_text(app.SITE)
	expect(workers.first.locator(".sr-bar")).to_have_attribute("aria-label", re.compile("at most 4 min"))
	expect(page.get_by_role("status").first).to_have_text(
		"All is well. 2 of 3 workers have a job, 0 jobs wait."
	)
	expect(page.locator(".sr-chart svg")).to_have_attribute("aria-label", re.compile("default: 0 wait now"))
	expect(page.locator(".sr-card-services li")).to_have_count(6)
	wait_for(lambda: set(demo.runs()) >= set(jobs))
	expect(page.get_by_role("status").first).to_contain_text("0 of 3 workers have a job")
	assert_bench_is_healthy(demo, jobs)


def test_the_preview_tells_a_running_jobs_fate_before_the_click(demo, page):
	jobs = run_long(demo, 1, 60)
	open_board(page, demo)
	open_dialog(page)
	dialog = page.locator("dialog")
	expect(dialog.locator(".sr-choice", has_text="Recommended")).to_contain_text(
		"rolling interrupts none of them"
	)
	expect(dialog.locator("tbody tr")).to_contain_text(
		"finishes on the old code; then its worker is replaced"
	)
	dialog.locator("input[value=wait-workers]").check()
	expect(dialog.locator("tbody tr")).to_contain_text("finishes first, within 300 s, or nothing is stopped")
	dialog.get_by_text("More options").click()
	dialog.get_by_label("Wait for jobs, seconds").fill("20")
	expect(dialog.locator("tbody tr")).to_contain_text("finishes first, within 20 s, or nothing is stopped")
	dialog.locator("input[value=now]").check()
	dialog.get_by_label("Grace before an interruption").fill("1")
	expect(dialog.locator("tbody tr")).to_contain_text(
		"interrupted if it needs more than 1 s, then run again"
	)
	page.keyboard.press("Escape")
	expect(dialog).to_have_count(0)
	assert Journal(demo.bench).requests() == []
	end_jobs(demo)
	assert_bench_is_healthy(demo, jobs)


def test_a_restart_is_followed_through_the_webs_replacement_to_its_true_account(demo, page):
	jobs = run_long(demo, 1, 12)
	open_board(page, demo)
	open_dialog(page, "wait-workers")
	page.get_by_label("Reason").fill("deploy of Friday")
	submit(page).click()
	headline = page.get_by_role("status").first
	expect(headline).to_contain_text("Restarting (wait-workers), step 4 of 10: Wait for the running jobs")
	expect(headline).to_have_text("The site is restarting … This page goes on by itself.")
	expect(page.get_by_text("The site is back; it was away for")).to_be_visible()
	restart = page.locator(".sr-card-restart")
	expect(restart).to_contain_text("Completed")
	expect(restart).to_contain_text("deploy of Friday")
	told = board.progress(demo.bench, newest(demo).id, 0, ALL)
	expect(restart).to_contain_text(told["outcome"])
	expect(figure(page, "Workers replaced")).to_have_text("3 of 3")
	expect(figure(page, "Jobs finished")).to_have_text("1")
	expect(restart.locator(".sr-step-done")).to_have_count(len(told["steps"]))
	restart.get_by_text("What became of 1 job").click()
	expect(restart.locator("tbody tr")).to_contain_text("finished")
	restart.get_by_text("What it said").click()
	expect(restart.locator(".sr-log li")).to_have_count(len(told["events"]))
	expect(headline).to_contain_text("All is well")
	row = page.locator(".sr-card-history tbody tr").first
	row.get_by_role("button").click()
	expect(page.locator(".sr-inside")).to_contain_text(told["outcome"])
	assert_bench_is_healthy(demo, jobs)


def test_a_restart_is_cancelled_from_the_board_and_the_bench_is_as_before(demo, page):
	jobs = run_long(demo, 1, 60)
	open_board(page, demo)
	open_dialog(page, "wait-workers")
	submit(page).click()
	expect(page.get_by_role("status").first).to_contain_text("Wait for the running jobs")
	page.get_by_role("button", name="Cancel the restart").click()
	expect(page.get_by_text("Asked to cancel.")).to_be_visible()
	expect(page.locator(".sr-card-restart")).to_contain_text("Cancelled")
	expect(page.get_by_role("button", name="Restart …")).to_be_enabled()
	end_jobs(demo)
	assert_bench_is_healthy(demo, jobs)


def test_interrupting_jobs_needs_the_sites_name_and_a_held_job_waits_for_a_decision(demo, page):
	run_long(demo, 2, 20)
	open_board(page, demo)
	open_dialog(page, "now")
	page.get_by_text("More options").click()
	page.get_by_label("Grace before an interruption").fill("0")
	page.get_by_label("Interrupted jobs").select_option("hold")
	expect(page.locator("dialog tbody tr").first).to_contain_text("then held for a person")
	expect(submit(page)).to_be_disabled()
	confirm = page.get_by_label("Jobs may be interrupted.")
	confirm.fill("another.localhost")
	expect(submit(page)).to_be_disabled()
	confirm.fill(app.SITE)
	submit(page).click()
	expect(page.get_by_role("status").first).to_have_text("2 interrupted jobs are held until you decide.")
	expect(figure(page, "Interrupted")).to_have_text("2")

	rows = page.locator(".sr-card-held-jobs tbody tr")
	expect(rows).to_have_count(2)
	rows.first.get_by_role("button", name="Requeue").click()
	expect(rows).to_have_count(1)
	rows.first.get_by_role("button", name="Discard").click()
	page.get_by_role("button", name="Keep it").click()
	expect(rows).to_have_count(1)
	rows.first.get_by_role("button", name="Discard").click()
	page.get_by_role("dialog").get_by_role("button", name="Discard").click()
	expect(page.get_by_text("is marked as failed and will not run")).to_be_visible()
	expect(rows).to_have_count(0)
	wait_for(lambda: sum(demo.runs("begin").values()) == 3, "one of them runs again")
	wait_for(lambda: sum(demo.runs().values()) == 1)
	assert not demo.redis.exists("rq:suspended")


def test_an_objection_is_shown_and_overridden_only_with_a_reason(demo, page):
	hooks = demo.path / "apps/hr/hr/hooks.py"
	hooks.parent.mkdir(parents=True)
	hooks.write_text('safe_restart_blockers = ["hr.busy"]')
	python = demo.path / "env/bin/python"
	answers = [
		{"site": app.SITE, "by": "hr.busy", "sentence": "Payroll is being submitted."},
		{"site": app.SITE},
	]
	lines = "\n".join(f"echo 'safe_restart:{json.dumps(answer)}'" for answer in answers)
	python.write_text(f"#!/bin/sh\n{lines}\n")
	python.chmod(0o755)
	open_board(page, demo)
	open_dialog(page)
	expect(page.locator("dialog [role=alert]")).to_contain_text("Payroll is being submitted.")
	expect(submit(page)).to_be_disabled()
	page.get_by_label("Restart anyway").check()
	expect(page.get_by_text("Say why you restart anyway.")).to_be_visible()
	expect(submit(page)).to_be_disabled()
	page.get_by_label("Reason (needed)").fill("payroll hangs")
	submit(page).click()
	expect(page.locator(".sr-card-restart")).to_contain_text("Completed")
	assert newest(demo).reason == "payroll hangs" and newest(demo).options["override_blockers"]
	assert_bench_is_healthy(demo)


def test_a_refusal_is_shown_as_its_sentence_and_the_dialog_stays(demo, page):
	open_board(page, demo)
	open_dialog(page)
	page.get_by_text("More options").click()
	page.get_by_role("checkbox", name="Redis").check()
	submit(page).click()
	expect(page.get_by_text("Redis cannot be restarted with rolling").first).to_be_visible()
	assert_bench_is_healthy(demo)


def test_what_others_wrote_is_shown_as_text(demo, page):
	open_board(page, demo)
	open_dialog(page)
	page.get_by_label("Reason").fill(HOSTILE)
	submit(page).click()
	expect(page.locator(".sr-card-restart")).to_contain_text("Completed")
	expect(page.locator(".sr-card-restart q")).to_have_text(HOSTILE)
	page.locator(".sr-expand").first.click()
	stand_in(page, hostile(answers_of(demo)))
	page.get_by_role("button", name="Restart …").click()
	expect(page.locator("dialog")).to_contain_text(HOSTILE)
	assert page.locator("main img, main script").count() == 0
	assert page.evaluate("window.hacked") is None


def answers_of(demo) -> dict:
	overview = {**board.overview(demo.bench, ALL), "site": app.SITE}
	preview = {**board.previews(demo.bench, {}, ALL), "blockers": [{"by": "hr.busy", "sentence": "Payroll."}]}
	return {
		"overview": overview,
		"preview": preview,
		"progress": board.progress(demo.bench, newest(demo).id, 0, ALL),
	}


def hostile(value, key: str = ""):
	"""The same answer with markup in the place of each text but those that the board itself works with."""
	if isinstance(value, dict):
		return {name: hostile(one, name) for name, one in value.items()}
	if isinstance(value, list):
		return [hostile(one, key) for one in value]
	works_with = key in (
		"name",
		"type",
		"strategy",
		"status",
		"recommended",
		"request",
		"now",
		"at",
	) or key.endswith("_at")
	return value if not isinstance(value, str) or works_with else HOSTILE


def test_a_restart_can_be_asked_for_with_the_keyboard_alone(demo, page):
	open_board(page, demo)
	keys = page.keyboard
	restart = page.get_by_role("button", name="Restart …")
	for _ in range(6):
		keys.press("Tab")
		if restart.evaluate("element => element === document.activeElement"):
			break
	assert restart.evaluate("element => getComputedStyle(element).outlineStyle") != "none"
	keys.press("Enter")
	expect(page.locator("dialog")).to_be_visible()
	keys.press("Escape")
	expect(page.locator("dialog")).to_have_count(0)
	expect(restart).to_be_focused()
	keys.press("Enter")
	page.locator("dialog input[value=rolling]").wait_for()
	keys.press("Tab")
	expect(page.locator("input[value=rolling]")).to_be_focused()
	keys.press("ArrowDown")
	expect(page.locator("input[value=wait-workers]")).to_be_checked()
	expect(page.locator("dialog .sr-figures")).to_be_visible()
	inside = "document.activeElement === document.body || Boolean(document.activeElement.closest('dialog'))"
	for _ in range(12):
		keys.press("Tab")
		assert page.evaluate(inside), "Tab left the dialog"
	submit(page).focus()
	keys.press("Enter")
	expect(page.locator(".sr-card-restart")).to_contain_text("Completed")
	assert newest(demo).strategy == "wait-workers"
	assert_bench_is_healthy(demo)


def test_what_a_person_types_opens_and_scrolls_survives_each_poll(demo, page):
	jobs = run_long(demo, 1, 60)
	open_board(page, demo)
	open_dialog(page)
	page.get_by_text("More options").click()
	page.get_by_label("Reason").press_sequentially("half a sent")
	asked = []
	page.on("request", lambda request: asked.append(request.url.rpartition(".")[2]))
	wait_for(lambda: page.wait_for_timeout(100) or asked.count("preview") > 1)
	expect(page.get_by_label("Reason")).to_be_focused()
	page.keyboard.type("ence")
	expect(page.get_by_label("Reason")).to_have_value("half a sentence")
	expect(page.get_by_label("Wait for jobs, seconds")).to_be_visible()
	end_jobs(demo)
	assert_bench_is_healthy(demo, jobs)


def test_the_history_goes_back_as_far_as_there_are_restarts(demo, page):
	journal = Journal(demo.bench)
	for _ in range(25):
		journal.write_report(journal.add("rolling", {}, "somebody").id, "refused", 2, "Not now.", None)
	open_board(page, demo)
	rows = page.locator(".sr-card-history tbody tr")
	expect(rows).to_have_count(20)
	page.get_by_role("button", name="Show older").click()
	expect(rows).to_have_count(25)
	expect(page.get_by_role("button", name="Show older")).to_have_count(0)
	rows.last.get_by_role("button").click()
	expect(page.locator(".sr-inside")).to_contain_text("Not now.")


def test_a_site_that_does_not_answer_is_asked_ever_less_often_until_it_is_back(demo, page):
	open_board(page, demo)
	asked = []
	page.route("**/api/method/**", lambda route: (asked.append(1), route.abort()))
	headline = page.get_by_role("status").first
	expect(headline).to_have_text("The site does not answer. Asking again …")
	page.wait_for_timeout(5000)
	assert 3 <= len(asked) <= 5
	page.unroute("**/api/method/**")
	expect(page.get_by_text("The site is back; it was away for")).to_be_visible()
	expect(headline).to_contain_text("All is well")


def test_a_suspension_by_somebody_else_is_told_prominently(demo, page):
	demo.redis.set("rq:suspended", "maintenance")
	open_board(page, demo)
	expect(page.get_by_role("status").first).to_have_text(
		"Workers take no new jobs: somebody suspended the queues."
	)
	expect(page.locator(".sr-alert")).to_contain_text("suspended by maintenance, not by a restart")
	demo.redis.set("rq:suspended", "safe-restart:shop:20260101-000000-abcd")
	expect(page.locator(".sr-alert")).to_have_count(0)
	expect(page.get_by_role("status").first).to_contain_text("a restart of shop, on the same Redis")
	demo.redis.delete("rq:suspended")
	expect(page.get_by_role("status").first).to_contain_text("All is well")


def test_the_board_fits_a_phone_and_can_be_read_in_both_themes(demo, page):
	jobs = run_long(demo, 2, 60)
	demo.redis.set("rq:suspended", "maintenance")
	open_board(page, demo)
	for theme in ("light", "dark"):
		page.locator("#theme").select_option(theme)
		for width in (1280, 390):
			page.set_viewport_size({"width": width, "height": 844})
			open_dialog(page, "now")
			page.get_by_text("More options").click()
			assert not scrolls_sideways(page)
			assert faint_texts(page) == []
			assert page.locator("dialog").evaluate("element => element.scrollWidth <= element.clientWidth")
			page.keyboard.press("Escape")
			assert not scrolls_sideways(page)
			assert faint_texts(page) == []
	assert (
		page.evaluate("getComputedStyle(document.querySelector('.sr-card')).backgroundColor")
		== "rgb(28, 28, 28)"
	)
	page.locator("#theme").select_option("")
	page.emulate_media(color_scheme="dark")
	assert (
		page.evaluate("getComputedStyle(document.querySelector('.sr-headline')).color")
		== "rgb(243, 243, 243)"
	)
	demo.redis.delete("rq:suspended")
	end_jobs(demo)
	assert_bench_is_healthy(demo, jobs)


def test_fifty_workers_and_five_hundred_jobs_are_seen_within_a_second(demo, page):
	run = [
		dict(job=f"run-{n}", method=f"app.module.method_{n}", site=app.SITE, fate="finishes")
		for n in range(50)
	]
	jobs = [{"id": job["job"], "method": job["method"], "site": app.SITE, "user": "a@b.c", "age_seconds": n,
		"seconds_left": 300 - n, "attempts": 0} for n, job in enumerate(run)]  # fmt: skip
	overview = {**board.overview(demo.bench, ALL), "site": app.SITE}
	worker = overview["workers"][0]
	overview["workers"] = [
		{**worker, "name": f"w{n}", "state": "busy", "job": job} for n, job in enumerate(jobs)
	]
	held = {
		"queue": "long",
		"kind": "held",
		"due_in_seconds": None,
		"attempts": 3,
		"why": "three times",
		"who": "x",
	}
	overview["held_jobs"] = [
		{**held, "id": f"held-{n}", "method": "app.held", "site": app.SITE, "at": overview["now"]}
		for n in range(450)
	]
	# Thread time: what the page computes, not what else this machine is busy with meanwhile.
	session = page.context.new_cdp_session(page)
	session.send("Performance.enable", {"timeDomain": "threadTicks"})

	def spent_ms() -> float:
		metrics = session.send("Performance.getMetrics")["metrics"]
		return 1000 * next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

	open_board(page, demo)
	began = spent_ms()
	stand_in(page, {"overview": overview})
	expect(page.locator(".sr-card-workers tbody tr")).to_have_count(50)
	expect(page.locator(".sr-card-held-jobs tbody tr")).to_have_count(450)
	first = spent_ms() - began
	began = spent_ms()
	page.evaluate("board.draw(), document.body.offsetHeight")
	again = spent_ms() - began
	print(f"first view of 500 jobs {first:.0f} ms, each poll's drawing {again:.0f} ms")
	assert first < 1000
	assert again < 200
