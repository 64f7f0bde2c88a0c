"""`safe-restart demo`: restarts a miniature bench under load and prints what happened."""

import json
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import click

from ..engine.core.errors import RestartError
from ..engine.restart.options import Options
from ..engine.restart.strategies import strategy_named
from ..engine.state.journal import Journal
from ..engine.state.records import new_id
from ..engine.state.report import as_json as report_json
from ..helper import start_helper
from .bench import DemoBench
from .parts import redis_server
from .templates import THREADED
from .watcher import Measured, Watcher

Say = Callable[[str], None]

LONG_JOBS, LONG_SECONDS = 3, 8
SHORT_JOBS, SHORT_SECONDS = 200, 0.01
FINISH_TIMEOUT_SECONDS = 120
POLL_SECONDS = 0.05
# Short, so that the demo ends soon also with a strategy that gives jobs a grace.
GRACE_SECONDS = 3


def run_demo(strategy: str, boot: float, keep: bool, as_json: bool) -> int:
	"""Run the demo and print what happened.

	Returns 0 where the restart succeeded, every job was done and the queues are not left suspended.
	"""
	strategy_named(strategy)
	check_parts()
	say = partial(click.echo, err=as_json)
	demo = DemoBench(boot_seconds=boot, dies_with_us=not keep)
	if keep:
		demo.gunicorn_options = THREADED
	say(f"Building a bench in {demo.path}: Redis, 3 workers, a scheduler and gunicorn under supervisord …")
	try:
		demo.__enter__()
		results = restart_under_load(demo, strategy, say)
		print_results(results, say)
		if as_json:
			click.echo(json.dumps(results, indent=1))
		if keep:
			print_commands(demo)
		is_good = results["all_done"] and not results["suspended"] and results["report"]["exit_code"] == 0
		return 0 if is_good else 1
	finally:
		if not keep:
			demo.end()


def check_parts() -> None:
	"""Raises RestartError where Redis or gunicorn is missing."""
	redis_server()
	try:
		import gunicorn  # noqa: F401
	except ImportError:
		raise RestartError(
			"The demo needs gunicorn. Nothing was started. Type `pip install safe_restart[demo]`."
		) from None


def restart_under_load(demo: DemoBench, strategy: str, say: Say) -> dict:
	"""Restart while three long jobs run and two hundred short ones wait, and return what happened."""
	long_jobs = [f"long-{number}" for number in range(LONG_JOBS)]
	short_jobs = [f"short-{number}" for number in range(SHORT_JOBS)]
	for name in long_jobs:
		demo.enqueue(LONG_SECONDS, name)
	wait_for(lambda: sum(demo.runs("begin").values()) == LONG_JOBS)
	for name in short_jobs:
		demo.enqueue(SHORT_SECONDS, name)
	say(f"{LONG_JOBS} jobs of {LONG_SECONDS} s run, {SHORT_JOBS} short ones wait. Restarting ({strategy}) …")
	started = time.time()
	journal = Journal(demo.bench)
	options = Options(force_kill_timeout=GRACE_SECONDS).as_dict()
	with Watcher(demo) as watcher:
		id = new_id()
		helper = start_helper(demo.path, id, lambda: journal.add(strategy, options, "demo", id=id))
		while (request := journal.request(id)).is_open:
			if helper.poll() is not None and journal.request(id).is_open:
				raise RestartError(f"The helper died; see {demo.path}/sites/.safe-restart/helper.log.")
			time.sleep(POLL_SECONDS)
		wait_for(lambda: len(demo.runs()) == LONG_JOBS + SHORT_JOBS)
		measured = watcher.wait()
	return results_of(demo, report_json(request, journal.steps(request.id)), long_jobs, measured, started)


def results_of(
	demo: DemoBench, report: dict, long_jobs: list[str], measured: Measured, started: float
) -> dict:
	"""What became of each job, of the web and of the workers, as JSON."""
	begun, ended = demo.runs("begin"), demo.runs("end")
	ends = {entry["job"]: entry["at"] for entry in demo.ledger() if entry["what"] == "end"}
	fates = {name: fate(begun[name], ended[name]) for name in begun}
	last_long = max((ends[name] for name in long_jobs if name in ends), default=started)
	after = [at for name, at in ends.items() if name not in long_jobs and at > last_long]
	return {
		"report": report,
		"jobs": {name: fates[name] for name in long_jobs if name in fates},
		"other_jobs": dict(Counter(fates[name] for name in fates if name not in long_jobs)),
		"never_ran": LONG_JOBS + SHORT_JOBS - len(ended),
		"all_done": len(ended) == LONG_JOBS + SHORT_JOBS,
		"suspended": bool(demo.redis.exists("rq:suspended")),
		"seconds_without_web": measured.web_outage,
		"longest_without_worker": measured.longest_without_worker,
		"seconds_to_whole": measured.whole,
		"last_long_to_next_job": round(min(after) - last_long, 3) if after else None,
	}


def fate(begun: int, ended: int) -> str:
	"""What became of a job that began and ended so often."""
	if begun == ended == 1:
		return "ran once, uninterrupted"
	if ended == 1:
		return f"interrupted and run again, done after {begun} starts"
	return f"began {begun} times, ended {ended} times"


def print_results(results: dict, say: Say) -> None:
	"""Print what happened, for a person."""
	report = results["report"]
	say(f"Exit code {report['exit_code']} after {report['seconds']} s. {report['outcome']}")
	for step in report["steps"]:
		say(f"  {step['name']:<19} {step['seconds']:>6.2f} s  {step['detail']}")
	for name, what in results["jobs"].items():
		say(f"Job {name}: {what}")
	for what, count in results["other_jobs"].items():
		say(f"{count} short jobs: {what}")
	say(f"Jobs that never ran: {results['never_ran']}")
	say(f"Seconds without web: {results['seconds_without_web']:.2f}")
	say(f"Longest time in which no worker took new jobs: {results['longest_without_worker']:.2f} s")
	say(f"Seconds until everything was new and worked: {results['seconds_to_whole']}")


def print_commands(demo: DemoBench) -> None:
	"""Print how to use the bench that is left running, and how to end it."""
	command = f"{shlex.quote(sys.executable)} -m safe_restart --bench {demo.path}"
	ctl = f"{shlex.quote(sys.executable)} -m supervisor.supervisorctl -c {demo.path}/config/supervisor/supervisord.conf"
	click.echo(
		"\nThe bench is left running. Its board is at\n"
		f"  http://127.0.0.1:{demo.web_port}/app/safe-restart\nGo on there, or with\n"
		f"  {command} status -v\n  {command} plan\n  {command} --wait-workers\n  {command} doctor\n"
		f"  {ctl} status\nand end it with\n  {ctl} shutdown && rm -r {demo.path}"
	)


def wait_for(condition: Callable[[], bool]) -> None:
	"""Wait until this is true, at most FINISH_TIMEOUT_SECONDS."""
	deadline = time.monotonic() + FINISH_TIMEOUT_SECONDS
	while not condition() and time.monotonic() < deadline:
		time.sleep(POLL_SECONDS)
