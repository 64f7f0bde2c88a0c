"""The pictures of the board in docs/images, taken of a real restart: python -m tests.browser.screenshots docs/images

It takes as many minutes as are given after the folder, four by default: that long the queues are filled and emptied.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from safe_restart.demo.bench import DemoBench
from safe_restart.demo.templates import THREADED
from tests.support.browser import launch, open_board, open_dialog, submit

LONGEST_BYTES = 150_000


def main(folder: str, minutes: str = "4") -> None:
	images = Path(folder)
	with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
		path = Path(home) / "frappe-bench"
		path.mkdir()
		page = launch(playwright).new_page(viewport={"width": 1280, "height": 800}, locale="en-GB")
		with DemoBench(path=path, gunicorn_options=THREADED) as demo:
			open_board(page, demo)
			open_dialog(page)  # a first restart, so that the next can be foretold
			submit(page).click()
			expect(page.locator(".sr-card-restart")).to_contain_text("Completed")
			fill_queues(page, demo, float(minutes) * 60)
			for name in ("nightly-report", "big-import", "backup"):
				demo.enqueue(40, name, queue="long")
			for number in range(12):
				demo.enqueue(0.4, f"mail-{number}", queue="short")
			page.wait_for_timeout(6000)
			take_restart(page, images)
			take_phone(page, demo, images)
			take_held(page, demo, images)


def fill_queues(page: Page, demo: DemoBench, seconds: float) -> None:
	"""Bursts of short jobs, and now and then a longer one."""
	until, dice = time.monotonic() + seconds, random.Random(1)
	while time.monotonic() < until:
		for number in range(dice.choice((0, 0, 3, 8, 15))):
			demo.enqueue(0.4, f"mail-{number}", queue="short")
		if dice.random() < 0.3:
			demo.enqueue(dice.uniform(2, 9), "report", queue="default")
		page.wait_for_timeout(2500)


def take_restart(page: Page, images: Path) -> None:
	"""A restart that waits for two jobs: before the click, meanwhile, and its account."""
	page.set_viewport_size({"width": 1080, "height": 720})
	open_dialog(page, "wait-workers")
	page.get_by_label("Reason").fill("deploy of release 42")
	take(page, images, "restart-dialog")
	page.set_viewport_size({"width": 1280, "height": 900})
	submit(page).click()
	expect(page.get_by_text("wait-workers), step 4")).to_be_visible()
	page.wait_for_timeout(3000)
	take(page, images, "running")
	expect(page.get_by_text("The site is back")).to_be_visible(timeout=90_000)
	expect(page.locator(".sr-card-restart")).to_contain_text("Completed")
	page.wait_for_timeout(4000)
	take(page, images, "done")


def take_phone(page: Page, demo: DemoBench, images: Path) -> None:
	demo.enqueue(30, "report", queue="default")
	page.wait_for_timeout(2000)
	page.set_viewport_size({"width": 390, "height": 844})
	open_dialog(page, "rolling")
	submit(page).click()
	expect(page.get_by_text("(rolling), step 7")).to_be_visible()
	take(page, images, "phone")
	expect(page.locator(".sr-card-restart")).to_contain_text("Completed", timeout=60_000)


def take_held(page: Page, demo: DemoBench, images: Path) -> None:
	"""After an emergency, in the dark: what was interrupted waits for a person."""
	page.set_viewport_size({"width": 1280, "height": 900})
	page.locator("#theme").select_option("dark")
	for name in ("nightly-report", "big-import"):
		demo.enqueue(60, name, queue="long")
	page.wait_for_timeout(2000)
	open_dialog(page, "now")
	page.get_by_text("More options").click()
	page.get_by_label("Grace before an interruption").fill("1")
	page.get_by_label("Interrupted jobs").select_option("hold")
	page.get_by_label("Jobs may be interrupted.").fill("demo.localhost")
	submit(page).click()
	expect(page.get_by_text("held until you decide")).to_be_visible(timeout=60_000)
	page.wait_for_timeout(4000)
	take(page, images, "dark")


def take(page: Page, images: Path, name: str) -> None:
	path = images / f"board-{name}.png"
	page.screenshot(path=path)
	assert path.stat().st_size < LONGEST_BYTES, path
	print(path, path.stat().st_size)


if __name__ == "__main__":
	main(*sys.argv[1:])
