"""What visitors notice while only the web is replaced: failed requests, and the longest one."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import click

from safe_restart.demo.bench import DemoBench
from safe_restart.demo.load import WebLoad
from safe_restart.demo.templates import THREADED

from .benches import SUPERVISOR, SYSTEMD, bench_under, why_not_under
from .methods import ours, run_commands, supervisorctl, systemctl
from .table import align

CLIENTS = 16
CALM_SECONDS = 1
REQUESTS_EACH = 1000  # around each restart, so that ten of them meet ten thousand
SYNC = "-w 2 --preload -t 120"


@dataclass(frozen=True)
class WebMethod:
	"""A way to restart the web, and the bench on which it is measured."""

	name: str
	manager: str
	command: Callable[[DemoBench], list[str]]
	has_setup_web: bool = False
	gunicorn_options: str = SYNC


def our_command(demo: DemoBench) -> list[str]:
	return ours(demo, "--only", "web")


def all_methods() -> list[WebMethod]:
	plain = (
		WebMethod(
			"supervisorctl restart <bench>-web:",
			SUPERVISOR,
			lambda demo: supervisorctl(demo, "restart", f"{demo.path.name}-web:"),
		),
		WebMethod(
			"systemctl restart <bench>-frappe-web",
			SYSTEMD,
			lambda demo: systemctl("restart", f"{demo.path.name}-frappe-web.service"),
		),
	)
	methods = []
	for one in plain:
		name = f"safe-restart --only web, {one.manager}"
		methods += [
			one,
			WebMethod(name, one.manager, our_command),
			WebMethod(f"{name}, after setup web", one.manager, our_command, True),
			WebMethod(f"{name}, after setup web, gthread", one.manager, our_command, True, THREADED),
		]
	return methods


def measure(restarts: int) -> dict[str, dict]:
	"""Each method on a bench of its own, one after another; counts are of requests, times seconds."""
	measured = {}
	for method in all_methods():
		if why := why_not_under(method.manager):
			click.echo(f"web: {method.name} is left out: {why}")
			continue
		click.echo(f"web: {method.name} …", err=True)
		measured[method.name] = measure_one(method, restarts)
	return measured


def measure_one(method: WebMethod, restarts: int) -> dict:
	problems = []
	options = {"has_setup_web": method.has_setup_web, "gunicorn_options": method.gunicorn_options}
	with bench_under(method.manager, **options) as demo, WebLoad(demo, CLIENTS) as hammer:
		for number in range(restarts):
			time.sleep(CALM_SECONDS)
			problems += run_commands([method.command(demo)])
			while hammer.requests < (number + 1) * REQUESTS_EACH:
				time.sleep(CALM_SECONDS / 10)
		time.sleep(CALM_SECONDS)
	return {
		"requests": hammer.requests,
		"outcomes": dict(hammer.outcomes),
		"failures": sum(hammer.failures.values()),
		"longest": round(hammer.longest_seconds, 3),
		"problems": problems,
	}


def render(measured: dict[str, dict], restarts: int) -> str:
	title = (
		f"Web: {CLIENTS} clients, a new connection for each request, {restarts} restarts of the web alone."
	)
	rows = [["", "requests", "failed", "longest", "what failed"]]
	for name, one in measured.items():
		what = ", ".join(
			f"{count} {outcome}" for outcome, count in one["outcomes"].items() if outcome != "200"
		)
		rows.append(
			[name, str(one["requests"]), str(one["failures"]), f"{one['longest']:.2f} s", what or "–"]
		)
	wrong = [f"! {name}: {text}" for name, one in measured.items() for text in one["problems"]]
	return "\n".join([title, "", *align(rows), *wrong])
