"""`python -m benchmarks` or `make bench`: every method in every scenario, a table for each, and the runs as JSON."""

import json
import os
import platform
import subprocess
import time
from importlib.metadata import version
from itertools import product
from pathlib import Path

import click

from safe_restart.demo.parts import redis_server

from . import scenarios, table, web
from .benches import why_not_under
from .methods import BY_SCENARIO, METHODS

RESULTS = Path(__file__).with_name("results.json")
SCENARIOS = ("idle", "busy", "stream", "systemd", "hosts", "web")
STREAMS = ("stream", "hosts")


@click.command(context_settings={"show_default": True})
@click.option(
	"--runs", type=click.IntRange(1), default=3, help="Of each method, idle, busy and under systemd."
)
@click.option("--restarts", type=click.IntRange(1), default=20, help="Of each method under a stream.")
@click.option("--web-restarts", type=click.IntRange(1), default=10, help="Of each method while clients ask.")
@click.option(
	"--scenario", "chosen", type=click.Choice(SCENARIOS), multiple=True, default=SCENARIOS, help="Repeatable."
)
def main(runs: int, restarts: int, web_restarts: int, chosen: tuple[str, ...]) -> None:
	"""Measure safe-restart beside what a person would type otherwise, on benches in miniature. Asserts nothing."""
	began = time.monotonic()
	results = {"parts": parts(), "runs": runs, "restarts": restarts, "scenarios": {}}
	click.echo(", ".join(f"{name} {number}" for name, number in results["parts"].items()))
	for scenario in chosen:
		if scenario == "web":
			measured = results["scenarios"][scenario] = web.measure(web_restarts)
			click.echo(f"\n{web.render(measured, web_restarts)}")
			RESULTS.write_text(json.dumps(results, indent=1) + "\n")
			continue
		if why := why_not_under(scenario):
			click.echo(f"\n{scenario} is left out: {why}")
			continue
		measured = results["scenarios"][scenario] = measure(scenario, runs, restarts)
		click.echo(f"\n{table.render(scenario, measured, runs, restarts)}")
		RESULTS.write_text(json.dumps(results, indent=1) + "\n")
	if set(chosen) - {"web"}:
		click.echo(f"\n{table.legend()}")
	click.echo(f"\nMeasured in {(time.monotonic() - began) / 60:.1f} minutes. Every run is in {RESULTS}.")


def measure(scenario: str, runs: int, restarts: int) -> dict[str, dict]:
	"""All methods in one scenario, in turns, so that whatever else the machine does meets each alike."""
	methods = BY_SCENARIO.get(scenario, METHODS)
	raw: dict[str, list[dict]] = {method: [] for method in methods}
	for number, method in product(range(1 if scenario in STREAMS else runs), methods):
		click.echo(f"{scenario}, run {number + 1}: {method} …", err=True)
		args = (method, restarts) if scenario in STREAMS else (method,)
		raw[method].append(getattr(scenarios, scenario)(*args))
	return table.summarize(raw)


def parts() -> dict[str, str]:
	"""What a figure depends on, by name."""
	redis = subprocess.run([redis_server(), "--version"], capture_output=True, text=True).stdout
	packages = ("rq", "redis", "supervisor", "gunicorn")
	return {
		"Python": platform.python_version(),
		**{"redis-py" if name == "redis" else name: version(name) for name in packages},
		"Redis": next((word[2:] for word in redis.split() if word.startswith("v=")), "?"),
		"CPUs": str(os.cpu_count()),
	}


if __name__ == "__main__":
	main(prog_name="python -m benchmarks")
