"""`safe-restart demo`: a miniature bench is restarted under load, and the account is printed."""

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
from .watcher import Seen, Watcher

Say = Callable[[str], None]

LONG_JOBS, LONG_SECONDS = 3, 8
SHORT_JOBS, SHORT_SECONDS = 200, 0.01
FINISH_TIMEOUT_SECONDS = 120
POLL_SECONDS = 0.05
# So that the demo is over soon also where jobs get the process manager's grace.
GRACE_SECONDS = 3


def run_demo(strategy: str, boot: float, keep: bool, as_json: bool) -> int:
	"""Run the demo and print its account; returns 0 where the restart succeeded, every job was done and nothing is left
	suspended."""
	strategy_named(strategy)
	check_parts()
	say = partial(click.echo, err=as_json)
	demo = DemoBench(boot_seconds=boot, dies_with_us=not keep)
	if keep:
		demo.gunicorn_options = THREADED
	say(f"Building a bench in {demo.path}: Redis, 3 workers, a scheduler and gunicorn under supervisord …")
	try:
		demo.__enter__()
		report = restart_under_load(demo, strategy, say)
		print_account(report, say)
		if as_json:
			click.echo(json.dumps(report, indent=1))
		if keep:
			print_commands(demo)
		is_good = report["all_done"] and not report["suspended"] and report["report"]["exit_code"] == 0
		return 0 if is_good else 1
	finally:
		if not keep:
			demo.end()


def check_parts() -> None:
	redis_server()
	try:
		import gunicorn  # noqa: F401
	except ImportError:
		raise RestartError("The demo needs gunicorn: `pip install safe_restart[demo]`.") from None


def restart_under_load(demo: DemoBench, strategy: str, say: Say) -> dict:
	"""Three long jobs running, two hundred short ones queued; then the restart."""
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
		seen = watcher.wait()
	return make_account(demo, report_json(request, journal.steps(request.id)), long_jobs, seen, started)


def make_account(demo: DemoBench, report: dict, long_jobs: list[str], seen: Seen, started: float) -> dict:
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
		"seconds_without_web": seen.web_outage,
		"longest_without_worker": seen.longest_without_worker,
		"seconds_to_whole": seen.whole,
		"last_long_to_next_job": round(min(after) - last_long, 3) if after else None,
	}


def fate(begun: int, ended: int) -> str:
	if begun == ended == 1:
		return "ran once, uninterrupted"
	if ended == 1:
		return f"interrupted and run again, done after {begun} starts"
	return f"began {begun} times, ended {ended} times"


def print_account(report: dict, say: Say) -> None:
	report = report["report"]
	say(f"Exit code {report['exit_code']} after {report['seconds']} s. {report['outcome']}")
	for step in report["steps"]:
		say(f"  {step['name']:<12} {step['seconds']:>6.2f} s  {step['detail']}")
	for name, what in report["jobs"].items():
		say(f"Job {name}: {what}")
	for what, count in report["other_jobs"].items():
		say(f"{count} short jobs: {what}")
	say(f"Jobs that never ran: {report['never_ran']}")
	say(f"Seconds without web: {report['seconds_without_web']:.2f}")
	say(f"Longest time in which no worker took new jobs: {report['longest_without_worker']:.2f} s")
	say(f"Seconds until everything was new and worked: {report['seconds_to_whole']}")


def print_commands(demo: DemoBench) -> None:
	command = f"{shlex.quote(sys.executable)} -m safe_restart --bench {demo.path}"
	ctl = f"{shlex.quote(sys.executable)} -m supervisor.supervisorctl -c {demo.path}/config/supervisor/supervisord.conf"
	click.echo(
		"\nThe bench is left running. Its board is at\n"
		f"  http://127.0.0.1:{demo.web_port}/app/safe-restart\nPlay on there, or with\n"
		f"  {command} status -v\n  {command} plan\n  {command} --wait-workers\n  {command} doctor\n"
		f"  {ctl} status\nand end it with\n  {ctl} shutdown && rm -r {demo.path}"
	)


def wait_for(condition: Callable[[], bool]) -> None:
	deadline = time.monotonic() + FINISH_TIMEOUT_SECONDS
	while not condition() and time.monotonic() < deadline:
		time.sleep(POLL_SECONDS)
