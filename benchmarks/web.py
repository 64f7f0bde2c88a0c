"""What visitors notice while only the web is replaced: failed requests, and the longest one."""

import time
from collections.abc import Callable

import click

from safe_restart.demo.bench import DemoBench
from safe_restart.demo.hammer import Hammer

from .methods import ours, run_commands, supervisorctl
from .table import align

CLIENTS = 16
CALM_SECONDS = 1
WEB_METHODS: dict[str, tuple[bool, Callable[[DemoBench], list[str]]]] = {
	"supervisorctl restart <bench>-web:": (
		False,
		lambda demo: supervisorctl(demo, "restart", f"{demo.path.name}-web:"),
	),
	"safe-restart --only web": (False, lambda demo: ours(demo, "--only", "web")),
	"safe-restart --only web, after setup web": (True, lambda demo: ours(demo, "--only", "web")),
}


def measure(restarts: int) -> dict[str, dict]:
	"""Each method on a bench of its own, one after another; counts are of requests, times seconds."""
	measured = {}
	for name, (has_setup_web, command) in WEB_METHODS.items():
		click.echo(f"web: {name} …", err=True)
		problems = []
		with DemoBench(has_setup_web=has_setup_web, gunicorn_options="-w 2 --preload -t 120") as demo:
			with Hammer(demo, CLIENTS) as hammer:
				for _ in range(restarts):
					time.sleep(CALM_SECONDS)
					problems += run_commands([command(demo)])
				time.sleep(CALM_SECONDS)
		measured[name] = {
			"requests": hammer.requests,
			"outcomes": dict(hammer.outcomes),
			"failures": sum(hammer.failures.values()),
			"longest": round(hammer.longest_seconds, 3),
			"problems": problems,
		}
	return measured


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
