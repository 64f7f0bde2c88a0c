"""Plain text for people: statuses, plans, histories. Only formats what the engine says."""

from collections.abc import Iterator, Sequence

import click

from ..engine.core.text import pluralize
from ..engine.core.timestamps import seconds_between
from ..engine.restart.options import Options
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


def step_line(step: Step) -> str:
	return f"  {step.name:<12} {step.status:<7} {step.seconds:>7.2f} s  {step.detail}".rstrip()


def event_line(event: Event) -> str:
	if event.kind == ASK:
		return f"\n  → {event.text}\n"
	return f"  | {event.text}" if event.kind == OUTPUT else f"  {event.at[11:23]}  {event.text}"


def has_a_past(request: Request) -> bool:
	"""Whether it is gone on with. The helper of a new one may have begun before anybody looked."""
	return bool(request.state.get("resume_at"))


class EventLines:
	"""What happened since it was last asked: a migration's output and what a person has to do always, notes where they were
	asked for.

	A request that is gone on with has a past, which was shown then.
	"""

	def __init__(self, journal: Journal, request: Request, verbose: bool):
		self.journal = journal
		self.verbose = verbose
		past = journal.events(request.id) if has_a_past(request) else []
		self.last = max((event.number for event in past), default=0)

	def new(self, request: Request) -> Iterator[str]:
		for event in self.journal.events(request.id, self.last):
			self.last = event.number
			if self.verbose or event.kind in (OUTPUT, ASK):
				yield event_line(event)


def closing_lines(request: Request) -> list[str]:
	"""What became of it, for the end of a run."""
	words = {
		records.COMPLETED: "Completed",
		records.WATCHING: "Done but for workers with a job",
		records.FAILED: "Failed",
		records.CANCELLED: "Cancelled",
		records.REFUSED: "Refused",
	}
	if request.strategy == "drain" and request.status == records.WATCHING:
		return [request.outcome or ""]
	seconds = seconds_between(request.started_at, request.finished_at)
	lines = [
		f"{words.get(request.status, request.status)} after {seconds:.2f} s. {request.outcome or ''}".rstrip()
	]
	for warning in (request.report or {}).get("warnings", []):
		lines.append(f"  warning: {warning}")
	return lines


def table(rows: Sequence[tuple[str, ...]], headings: tuple[str, ...]) -> None:
	"""Columns as wide as their widest cell; nothing where there is no row."""
	if not rows:
		return
	widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]
	for row in [headings, *rows]:
		click.echo("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def seconds(value: float | None) -> str:
	"""A duration for a person: 45 s, 12 min, 2.5 h; a dash where there is none."""
	if value is None:
		return "no limit"
	if value < 120:
		return f"{value:.0f} s"
	return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def status(seen: Status, verbose: bool) -> None:
	click.echo(f"Bench {seen.bench.path}")
	for problem in (seen.manager_problem, seen.redis_problem):
		if problem:
			click.echo(f"  problem: {problem}")
	status_of_requests(seen)
	if seen.fleet:
		snapshot = seen.fleet.snapshot
		if snapshot.suspended_by:
			until = (
				""
				if snapshot.suspended_ttl_ms < 0
				else f", for {snapshot.suspended_ttl_ms / 1000:.0f} s unless renewed"
			)
			who, _ = describe_holder(snapshot.suspended_by, seen.bench.bench_id)
			click.echo(f"Suspended {who}{until}: no worker takes a new job.")
		click.echo(
			f"Workers: {len(seen.fleet.workers)}, with a job: {len(seen.fleet.running)}, waiting: {snapshot.queued}"
		)
		table(worker_rows(seen.fleet), ("PID", "STATE", "JOB", "SITE", "AGE", "LEFT", "NOTE"))
		for worker in seen.fleet.stale:
			click.echo(f"  registered without a process: {worker.name} (pid {worker.pid or 'unknown'})")
	if verbose:
		status_in_detail(seen)


def status_of_requests(seen: Status) -> None:
	if seen.current and seen.is_abandoned:
		click.echo(
			f"Request {seen.current.id} ({seen.current.strategy}) was left unfinished: its helper died. Type "
			"`safe-restart recover`."
		)
	elif seen.current:
		running = seen.current
		age = seconds_between(running.started_at or running.created_at, None)
		state = "watches the last workers with a job" if running.status == records.WATCHING else "is running"
		if running.strategy == "drain" and running.status == records.WATCHING:
			state = "holds the bench drained"
		click.echo(
			f"Request {running.id} ({running.strategy}, by {running.requested_by}) {state}, since {seconds(age)}."
		)
		if asks := running.state.get("asks"):
			click.echo(f"  → {asks}")
	if seen.last:
		click.echo(
			f"Last: {seen.last.id} ({seen.last.strategy}) {seen.last.status}. {seen.last.outcome or ''}"
		)


def worker_rows(fleet: Fleet) -> list[tuple[str, ...]]:
	unmanaged = {worker.name for worker in fleet.unmanaged}
	now = fleet.snapshot.now
	rows: list[tuple[str, ...]] = []
	for worker in sorted(fleet.workers, key=lambda worker: (worker.hostname, worker.pid)):
		job = fleet.snapshot.job_of(worker)
		notes = ["old code, leaves after this job"] * worker.shutdown_requested
		if worker.name in unmanaged:
			notes.append(f"on {worker.hostname}, not kept by the process manager")
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


def status_in_detail(seen: Status) -> None:
	table(
		[(s.name, s.kind, s.state, str(s.pid or "")) for s in seen.services],
		("SERVICE", "KIND", "STATE", "PID"),
	)
	if seen.fleet:
		rows = [
			(
				seen.bench.short_queue_name(queue.name),
				*map(str, (queue.depth, len(queue.started), queue.scheduled, queue.deferred, queue.failed)),
			)
			for queue in seen.fleet.snapshot.queues
		]
		table(rows, ("QUEUE", "WAITING", "STARTED", "SCHEDULED", "DEFERRED", "FAILED"))


def plan(answer: Plan, options: Options, objections: list[Objection]) -> None:
	click.echo(f"{answer.strategy}: {answer.summary}")
	click.echo(f"Restarted: {', '.join(options.only)}")
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
			f"All running jobs have ended within: {seconds(answer.all_done_within_seconds)} (their own timeouts)"
		)
	for objection in objections:
		click.echo(f"An app objects, so it would be refused: {objection}")
	click.echo(f"Recommended: {answer.recommended}. {answer.reason}")


def history(requests: list[Request]) -> None:
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
	for finding in found:
		click.echo(f"  {finding.level:<8} {finding.text}")
		if finding.fix:
			click.echo(f"  {'':<8} → {finding.fix}")
	bad = [finding for finding in found if finding.level != OK]
	click.echo(f"{pluralize(len(bad), 'thing')} to look at." if bad else "A restart can succeed here.")
