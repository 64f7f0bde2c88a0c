"""The commands `bench safe-restart` and `safe-restart`, as one click group.

They parse and print; the engine does the rest.

Every call of `bench` imports this module, so only click is imported at the top, and the table of options,
which needs nothing but Python's own library.
"""

import sys
from typing import Any

import click

from .context import Group, context_of_group, print_json, this_bench
from .options import flags, options_of, options_typed, strategy_of
from .setup import setup


@click.group("safe-restart", cls=Group, invoke_without_command=True)
@click.option(
	"--bench", "bench_path", metavar="PATH", help="The bench; by default the one this folder lies in."
)
@click.option("--wait-workers", is_flag=True, help="All running jobs finish first; new ones wait.")
@click.option("--no-wait-workers", is_flag=True, help="Return at once; running jobs finish on the old code.")
@click.option("--suspend-rq", is_flag=True, help="New jobs wait; running ones get the grace, then run again.")
@click.option("--now", is_flag=True, help="At once; running jobs get the grace, then run again.")
@flags()
@click.option("--reason", default="", metavar="TEXT", help="Kept in the history.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, and do nothing.")
@click.option(
	"--json", "as_json", is_flag=True, help="One object on standard output, all else on standard error."
)
@click.option("--yes", is_flag=True, help="Do not ask before jobs are interrupted.")
@click.option("--detach", is_flag=True, help="Return as soon as the helper has the restart.")
@click.pass_context
def safe_restart(ctx: click.Context, bench_path: str | None, **params: Any) -> None:
	"""Restart a bench without breaking a background job.

	Without a strategy flag the restart is rolling: idle workers are replaced at once, each busy one when its job has
	ended, and the queues keep moving.

	\b
	Exit codes: 0 completed and verified, 1 failed, 2 refused, 3 jobs did not finish in time (nothing was
	interrupted), 4 another restart is running, 5 cancelled, 6 completed with warnings.
	"""
	if ctx.invoked_subcommand is None:
		from .submit import run_restart

		bench = this_bench(ctx)
		ctx.exit(run_restart(bench, strategy_of(params), options_of(ctx, bench), params))


@safe_restart.command()
@click.option("-v", "--verbose", is_flag=True, help="Also services and queues.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def status(ctx: click.Context, verbose: bool, as_json: bool) -> None:
	"""Show how the bench is now: workers, jobs, queues, and the restart that runs."""
	from ..engine.views import status as statuses
	from . import output

	found = statuses.read_status(this_bench(ctx))
	print_json(statuses.as_json(found)) if as_json else output.status(found, verbose)


@safe_restart.command()
@click.argument("strategy", required=False)
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def plan(ctx: click.Context, strategy: str | None, as_json: bool) -> None:
	"""Show what a restart would do to the jobs that exist now. Touches nothing.

	STRATEGY is rolling (the default), wait-workers, no-wait-workers, suspend-rq or now.
	"""
	from .plan import show_plan

	bench, group = this_bench(ctx), context_of_group(ctx)
	show_plan(bench, strategy or strategy_of(group.params), options_of(group, bench), as_json)


@safe_restart.command()
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def history(ctx: click.Context, limit: int, as_json: bool) -> None:
	"""List the restarts of this bench, the newest first."""
	from ..engine.state.journal import Journal
	from ..engine.views.status import summary
	from . import output

	requests = Journal(this_bench(ctx)).requests(limit)
	if as_json:
		print_json({"requests": [summary(request) for request in requests]})
	else:
		output.history(requests)


@safe_restart.command()
@click.argument("request")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def show(ctx: click.Context, request: str, as_json: bool) -> None:
	"""Show one restart with its steps and notes."""
	from ..engine.state.journal import Journal
	from ..engine.state.report import as_json as report_json
	from . import output

	journal = Journal(this_bench(ctx))
	found = journal.request(request)
	if as_json:
		print_json(report_json(found, journal.steps(request)))
	else:
		output.request(found, journal.steps(request), journal.events(request))


@safe_restart.command()
@click.argument("service")
@click.option(
	"--tail", type=click.IntRange(0), default=50, show_default=True, metavar="N", help="Last lines."
)
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.pass_context
def logs(ctx: click.Context, service: str, tail: int, follow: bool) -> None:
	"""Show the logs of SERVICE: web, workers, scheduler, socketio, redis, or a program's own name."""
	from .logs import show_logs

	show_logs(this_bench(ctx), service, tail, follow)


@safe_restart.command()
@flags(("hold_seconds", "wait_workers_timeout"))
@click.option(
	"--here", is_flag=True, help="Let the workers of this container leave instead, and wait for that."
)
@click.option("--reason", default="", metavar="TEXT")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def drain(ctx: click.Context, here: bool, reason: str, as_json: bool, **params: Any) -> None:
	"""Let running jobs finish while new ones wait, for a tool that restarts by itself.

	Returns when no job runs.
	"""
	from .requests import run_drain

	bench = this_bench(ctx)
	ctx.exit(run_drain(bench, options_typed(bench, params), here, reason, as_json))


@safe_restart.command()
@click.pass_context
def resume(ctx: click.Context) -> None:
	"""End a `drain --hold`: workers take jobs again."""
	from .requests import run_resume

	run_resume(this_bench(ctx))


@safe_restart.command()
@click.argument("request")
@click.pass_context
def cancel(ctx: click.Context, request: str) -> None:
	"""Ask a running restart to stop, if nothing was stopped yet; the bench then works as before."""
	from .requests import run_cancel

	ctx.exit(run_cancel(this_bench(ctx), request))


@safe_restart.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def jobs(ctx: click.Context, as_json: bool) -> None:
	"""List interrupted jobs that are held for a person, or run again after a pause."""
	if ctx.invoked_subcommand is None:
		from .jobs import show_jobs

		show_jobs(this_bench(ctx), as_json)


@jobs.command("requeue")
@click.argument("job_id")
@click.pass_context
def jobs_requeue(ctx: click.Context, job_id: str) -> None:
	"""Put a held job at the front of its queue."""
	from .jobs import requeue

	requeue(this_bench(ctx), job_id)


@jobs.command("discard")
@click.argument("job_id")
@click.pass_context
def jobs_discard(ctx: click.Context, job_id: str) -> None:
	"""Mark a held job as failed, never to be run."""
	from .jobs import discard

	discard(this_bench(ctx), job_id)


@safe_restart.command()
@click.option(
	"--start-anyway", is_flag=True, help="After a failed migration: start everything, end maintenance."
)
@click.pass_context
def recover(ctx: click.Context, start_anyway: bool) -> None:
	"""End a restart whose helper died: rolled back if nothing was stopped yet, else rolled forward.

	Safe to repeat.
	"""
	from .requests import run_recover, run_start_anyway

	ctx.exit(run_start_anyway(this_bench(ctx)) if start_anyway else run_recover(this_bench(ctx)))


@safe_restart.command()
@click.argument("request")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def retry(ctx: click.Context, request: str, as_json: bool) -> None:
	"""Migrate again after a failed migration, and go on from there."""
	from .requests import run_again

	ctx.exit(run_again(this_bench(ctx), request, "migrate", as_json))


@safe_restart.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
	"""Check whether a restart can succeed here, and is safe. Exits with 1 if something would make it fail."""
	from dataclasses import asdict

	from ..engine.views import doctor as doctors
	from . import output

	findings = doctors.examine(this_bench(ctx))
	if as_json:
		print_json({"findings": [asdict(finding) for finding in findings]})
	else:
		output.findings(findings)
	ctx.exit(int(any(finding.level == doctors.PROBLEM for finding in findings)))


@safe_restart.command()
@click.argument("strategy", required=False, default="wait-workers")
@click.option(
	"--boot", type=click.FloatRange(0, 60), default=1, show_default=True, help="Seconds each process boots."
)
@click.option("--keep", is_flag=True, help="Leave the bench running, and say how to go on.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def demo(ctx: click.Context, strategy: str, boot: float, keep: bool, as_json: bool) -> None:
	"""Build a bench in miniature, restart it under load with STRATEGY, and say what became of each job."""
	from ..demo.runner import run_demo

	ctx.exit(run_demo(strategy, boot, keep, as_json))


safe_restart.add_command(setup)

commands = [safe_restart]


def main() -> None:
	"""The console script `safe-restart`."""
	sys.exit(safe_restart(prog_name="safe-restart"))
