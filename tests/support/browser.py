"""A real Chromium, driven by Playwright, and the board of a bench in miniature in it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from safe_restart.demo.bench import DemoBench

ARGUMENTS = [
	"--no-sandbox",
	"--disable-gpu",
	"--disable-quic",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
]
WAIT_SECONDS = 90
# What Chromium itself says of an answer that is no 200: the web was away, or refused. The board's own words differ.
BROWSERS_OWN = re.compile(
	r"^Failed to load resource: (net::ERR_|the server responded with a status of (417|50[234]))"
)

expect.set_options(timeout=WAIT_SECONDS * 1000)


def find_chromium(playwright: Playwright) -> str | None:
	"""$CHROMIUM, the system's, or the one Playwright keeps; None where there is none."""
	named = os.environ.get("CHROMIUM")
	installed = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
	candidates = [named] if named else [*installed, playwright.chromium.executable_path]
	return next(filter(is_real, candidates), None)


def is_real(path: str) -> bool:
	"""Ubuntu has a script of this name that only says where to get one."""
	return Path(path).exists() and subprocess.run([path, "--version"], capture_output=True).returncode == 0


def launch(playwright: Playwright) -> Browser:
	"""Start the browser; skips the test where there is none."""
	if not (path := find_chromium(playwright)):
		pytest.skip("no Chromium here: apt-get install chromium, or name one in $CHROMIUM")
	return playwright.chromium.launch(executable_path=path, args=ARGUMENTS)


def listen(page: Page) -> list[str]:
	"""Whatever the page says on its console or throws from here on."""
	said: list[str] = []

	def hear(text: str) -> None:
		if not BROWSERS_OWN.match(text):
			said.append(text)

	page.on("console", lambda message: message.type in ("error", "warning") and hear(message.text))
	page.on("pageerror", lambda error: hear(f"{error}\n{error.stack}"))
	return said


def url(demo: DemoBench) -> str:
	return f"http://127.0.0.1:{demo.web_port}/app/safe-restart"


def open_board(page: Page, demo: DemoBench) -> None:
	page.goto(url(demo))
	expect(page.locator(".sr-card-workers")).to_be_visible()


def open_dialog(page: Page, strategy: str = "") -> None:
	"""Open the Restart dialog, choose, and wait for the preview."""
	page.get_by_role("button", name="Restart …").click()
	if strategy:
		page.locator(f"input[value={strategy}]").check()
	expect(page.locator("dialog .sr-figures")).to_be_visible()


def submit(page: Page):
	return page.locator("dialog footer button").last


def figure(page: Page, name: str):
	"""The value of one figure of the restart that is shown."""
	return page.locator(".sr-card-restart .sr-figures div", has=page.get_by_text(name, exact=True)).locator(
		"dd"
	)


# Methods without an answer are refused.
STAND_IN = """async ({ answers, name }) => {
	const { Board } = await import("/assets/safe_restart/js/board/board.js");
	const element = document.createElement("main");
	document.body.replaceChildren(element);
	const call = async (method, args) => {
		if (answers[method] === undefined) throw Object.assign(new Error(`${method} is refused`), { refused: true });
		return structuredClone(answers[method]);
	};
	const translate = (text, values = []) => text.replace(/{(\\d+)}/g, (_, place) => values[place]);
	window.board = new Board(element, { call, translate, confirm_name: name });
	window.board.start();
}"""


def stand_in(page: Page, answers: dict) -> None:
	"""Put a board in the place of the page's that is given these answers and asks no server."""
	page.evaluate(STAND_IN, {"answers": answers, "name": "demo.localhost"})
	expect(page.locator(".sr-card-workers")).to_be_visible()


# Every text against what lies behind it, by WCAG 2.1's formula; what is disabled is exempt. Returns what is too faint.
FAINT = """() => {
	const parse = (color) => {
		const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number);
		return color.startsWith("color(") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
	};
	const channel = (value) => ((value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
	const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
	const behind = (element) => {
		for (; element; element = element.parentElement) {
			const color = parse(getComputedStyle(element).backgroundColor);
			if (color[3] === 1) return color;
		}
		return [255, 255, 255];
	};
	const faint = [];
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (texts.nextNode()) {
		const element = texts.currentNode.parentElement;
		if (!texts.currentNode.data.trim() || !element.checkVisibility() || element.tagName === "OPTION") continue;
		if (element.closest(":disabled, [aria-disabled=true], .sr-unseen")) continue;
		const style = getComputedStyle(element);
		const [light, dark] = [luminance(parse(style.color)), luminance(behind(element))].sort((a, b) => b - a);
		const ratio = (light + 0.05) / (dark + 0.05);
		const is_large = parseFloat(style.fontSize) >= 24;
		if (ratio < (is_large ? 3 : 4.5)) faint.push([texts.currentNode.data, ratio.toFixed(2), style.color]);
	}
	return faint;
}"""


def faint_texts(page: Page) -> list:
	return page.evaluate(FAINT)


def scrolls_sideways(page: Page) -> bool:
	return page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
