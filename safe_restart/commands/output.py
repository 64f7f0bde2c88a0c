"""Formats what the engine says as plain text for people: statuses, plans, histories."""

from collections.abc import Iterator, Sequence

import click

from ..engine.core.bench import Bench
from ..engine.core.text import pluralize
from ..engine.core.timestamps import seconds_between
from ..engine.restart.options import Options
from ..engine.restart.strategies import DRAIN, NO_RESTARTS
from ..engine.rq.suspension import describe_holder
from ..engine.sites.app_hooks import Objection
from ..engine.state import records
from ..engine.state.journal import Journal
from ..engine.state.records import ASK, OUTPUT, Event, Request, Step
from ..engine.views.doctor import OK, Finding
from ..engine.views.plan import Plan
from ..engine.views.status import Status
from ..engine.workers.fleet import Fleet
from ..engine.workers.identity import is_local

STEP_NAME_WIDTH = len("replace-interrupted")  # the longest name of a step


def step_line(step: Step) -> str:
	return f"  {step.name:<{STEP_NAME_WIDTH}} {step.status:<7} {step.seconds:>7.2f} s  {step.detail}".rstrip()


def opening_line(bench: Bench, request: Request) -> str:
	"""Which request is followed, for the start of a run."""
	kind = request.strategy if request.strategy in NO_RESTARTS else f"{request.strategy} restart"
	return f"Request {request.id}: {kind} of {bench.path}"


def event_line(event: Event) -> str:
	if event.kind == ASK:
		return f"\n  → {event.text}\n"
	return f"  | {event.text}" if event.kind == OUTPUT else f"  {event.at[11:23]}  {event.text}"


def is_resumed(request: Request) -> bool:
	"""Whether the request goes on after a failed migration.

	That it has steps is no sign: its helper may have begun already.
	"""
	return bool(request.state.get("resume_at"))


class EventLines:
	"""Yields the events of a request that are new: the output of a migration and what a person has to do, and
	with `verbose` also notes.

	Earlier events of a resumed request are left out, as they were shown when they happened.
	"""

	def __init__(self, journal: Journal, request: Request, verbose: bool):
		self.journal = journal
		self.verbose = verbose
		shown = journal.events(request.id) if is_resumed(request) else []
		self.last = max((event.number for event in shown), default=0)

	def new(self, request: Request) -> Iterator[str]:
		"""The lines that were not yielded yet."""
		for event in self.journal.events(request.id, self.last):
			self.last = event.number
			if self.verbose or event.kind in (OUTPUT, ASK):
				yield event_line(event)


def closing_lines(request: Request) -> list[str]:
	"""How the request ended, as lines for the end of a run."""
	words = {
		records.COMPLETED: "Completed",
		records.WATCHING: "Done but for workers with a job",
		records.FAILED: "Failed",
		records.CANCELLED: "Cancelled",
		records.REFUSED: "Refused",
	}
	if request.strategy == DRAIN and request.status == records.WATCHING:
		return [request.outcome or ""]
	seconds = seconds_between(request.started_at, request.finished_at)
	lines = [
		f"{words.get(request.status, request.status)} after {seconds:.2f} s. {request.outcome or ''}".rstrip()
	]
	for warning in (request.report or {}).get("warnings", []):
		lines.append(f"  warning: {warning}")
	return lines


def table(rows: Sequence[tuple[str, ...]], headings: tuple[str, ...]) -> None:
	"""Print rows in columns as wide as their widest cell; nothing where there is no row."""
	if not rows:
		return
	widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]
	for row in [headings, *rows]:
		click.echo("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def seconds(value: float | None) -> str:
	"""A duration for a person: 45 s, 12 min, 2.5 h, or "no limit" for None."""
	if value is None:
		return "no limit"
	if value < 120:
		return f"{value:.0f} s"
	return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def status(found: Status, verbose: bool) -> None:
	"""Print how the bench is; with `verbose` also services and queues."""
	click.echo(f"Bench {found.bench.path}")
	for problem in (found.manager_problem, found.redis_problem):
		if problem:
			click.echo(f"  problem: {problem}")
	status_of_requests(found)
	if found.fleet:
		status_of_workers(found.bench, found.fleet)
	if verbose:
		status_in_detail(found)


def status_of_requests(found: Status) -> None:
	"""Print the request that runs, and the last one that has ended."""
	current, last = found.current, found.last
	if current and found.is_abandoned:
		click.echo(
			f"Request {current.id} ({current.strategy}) was left unfinished: its helper died. Type "
			"`safe-restart recover`."
		)
	elif current:
		age = seconds_between(current.started_at or current.created_at, None)
		click.echo(
			f"Request {current.id} ({current.strategy}, by {current.requested_by}) {doing(current)}, begun "
			f"{seconds(age)} ago."
		)
		if asks := current.state.get("asks"):
			click.echo(f"  → {asks}")
	if last:
		click.echo(f"Last: {last.id} ({last.strategy}) {last.status}. {last.outcome or ''}")


def doing(request: Request) -> str:
	"""What an open request does now, as the rest of a sentence."""
	if request.status != records.WATCHING:
		return "is running"
	return "holds the bench drained" if request.strategy == DRAIN else "watches the last workers with a job"


def status_of_workers(bench: Bench, fleet: Fleet) -> None:
	"""Print the suspension and each worker with its job."""
	snapshot = fleet.snapshot
	if snapshot.suspended_by:
		left_ms = snapshot.suspended_ttl_ms
		until = f", for {left_ms / 1000:.0f} s unless renewed" if left_ms >= 0 else ""
		who, _ = describe_holder(snapshot.suspended_by, bench.bench_id)
		click.echo(f"Suspended {who}{until}: no worker takes a new job.")
	click.echo(
		f"Workers: {len(fleet.workers)}, with a job: {len(fleet.running)}. Jobs waiting: {snapshot.queued}"
	)
	table(worker_rows(fleet), ("PID", "STATE", "JOB", "SITE", "AGE", "LEFT", "NOTE"))
	for worker in fleet.stale:
		click.echo(f"  registered without a process: {worker.name} (pid {worker.pid or 'unknown'})")


def worker_rows(fleet: Fleet) -> list[tuple[str, ...]]:
	unmanaged = {worker.name for worker in fleet.unmanaged}
	now = fleet.snapshot.now
	rows: list[tuple[str, ...]] = []
	for worker in sorted(fleet.workers, key=lambda worker: (worker.hostname, worker.pid)):
		job = fleet.snapshot.job_of(worker)
		notes = ["old code, leaves after this job"] * worker.shutdown_requested
		if worker.name in unmanaged:
			notes.append(f"on {worker.hostname}, not managed by the process manager")
		elif not is_local(worker):
			notes.append(f"on {worker.hostname}")
		rows.append(
			(
				str(worker.pid),
				worker.state,
				job.method if job else "",
				job.site if job else "",
				seconds(job.age_seconds(now)) if job else "",
				seconds(job.seconds_left(now)) if job else "",
				", ".join(notes),
			)
		)
	return rows


def status_in_detail(found: Status) -> None:
	"""Print services and queues."""
	table(
		[(s.name, s.kind, s.state, str(s.pid or "")) for s in found.services],
		("SERVICE", "KIND", "STATE", "PID"),
	)
	if found.fleet:
		rows = [
			(
				found.bench.short_queue_name(queue.name),
				*map(str, (queue.depth, len(queue.started), queue.scheduled, queue.deferred, queue.failed)),
			)
			for queue in found.fleet.snapshot.queues
		]
		table(rows, ("QUEUE", "WAITING", "STARTED", "SCHEDULED", "DEFERRED", "FAILED"))


def plan(answer: Plan, options: Options, objections: list[Objection]) -> None:
	"""Print what a restart would do."""
	click.echo(f"{answer.strategy}: {answer.summary}")
	click.echo(f"Restarts: {', '.join(options.only)}")
	click.echo(f"Running jobs: {len(answer.running)}")
	rows = [
		(
			fate.method or fate.job,
			fate.site,
			str(fate.pid),
			seconds(fate.age_seconds),
			seconds(fate.seconds_left),
			fate.fate,
		)
		for fate in answer.running
	]
	table(rows, ("JOB", "SITE", "PID", "AGE", "LEFT AT MOST", "WHAT HAPPENS"))
	click.echo(f"Queued jobs: {answer.queued}; they {answer.queued_fate}.")
	click.echo(f"Scheduled jobs: {answer.scheduled}; they {answer.scheduled_fate}.")
	if answer.running:
		click.echo(
			f"Longest that running jobs may take, by their timeouts: {seconds(answer.all_done_within_seconds)}"
		)
	for objection in objections:
		click.echo(f"An app objects, so the restart would be refused: {objection}")
	click.echo(f"Recommended: {answer.recommended}. {answer.reason}")


def history(requests: list[Request]) -> None:
	"""Print one line for each request."""
	if not requests:
		click.echo("No restart was asked for yet.")
	rows = [
		(
			request.id,
			request.strategy,
			request.status,
			"" if request.exit_code is None else str(request.exit_code),
			f"{seconds_between(request.started_at, request.finished_at):.1f} s"
			if request.finished_at
			else "",
			request.requested_by,
			request.reason,
		)
		for request in requests
	]
	table(rows, ("REQUEST", "STRATEGY", "STATUS", "EXIT", "TOOK", "BY", "REASON"))


def request(found: Request, steps: list[Step], events: list[Event]) -> None:
	"""Print one request with its steps and events."""
	asked = f"asked for by {found.requested_by} at {found.created_at}"
	click.echo(
		f"Request {found.id}: {found.strategy}, {asked}" + (f": {found.reason}" if found.reason else "")
	)
	for step in steps:
		click.echo(step_line(step))
	for event in events:
		click.echo(event_line(event))
	for line in closing_lines(found):
		click.echo(line)


def findings(found: list[Finding]) -> None:
	"""Print what the doctor found, each with its fix."""
	for finding in found:
		click.echo(f"  {finding.level:<8} {finding.text}")
		if finding.fix:
			click.echo(f"  {'':<8} → {finding.fix}")
	count = sum(finding.level != OK for finding in found)
	click.echo(f"{pluralize(count, 'thing')} to look at." if count else "A restart can succeed here.")
