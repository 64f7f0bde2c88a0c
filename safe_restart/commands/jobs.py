"""`safe-restart jobs`: lists held and delayed jobs, and lets a person decide about one."""

import click

from ..engine.core.bench import Bench
from ..engine.jobs import held
from ..engine.sites.visibility import SiteVisibility
from ..engine.views import board
from .context import print_json
from .output import seconds, table
from .submit import requester

ALL = SiteVisibility(None)  # a person at a shell may see every site


def show_jobs(bench: Bench, as_json: bool) -> None:
	"""Print the held and delayed jobs. Delayed jobs that are due are queued first."""
	with held.reading_rq(bench) as rq_reader:
		found = held.held_jobs(bench, rq_reader)
	if as_json:
		print_json({"jobs": [held.as_json(bench, one) for one in found]})
	elif not found:
		click.echo("No job is held, and none runs again after a pause.")
	else:
		headings = ("JOB", "METHOD", "SITE", "STATE", "WHY", "WHO", "WHEN")
		table([row(one) for one in found], headings)


def row(one: held.HeldJob) -> tuple[str, ...]:
	"""The cells of one job."""
	state = one.kind if one.due_in_seconds is None else f"runs in {seconds(one.due_in_seconds)}"
	return (one.job.id, one.job.method, one.job.site, state, one.job.why, one.job.who, one.job.at)


def requeue(bench: Bench, job_id: str) -> None:
	"""Put a held or delayed job at the front of its queue. Raises RestartError."""
	click.echo(board.requeue(bench, job_id, requester(), ALL)["sentence"])


def discard(bench: Bench, job_id: str) -> None:
	"""Mark a held or delayed job as failed. Raises RestartError."""
	click.echo(board.discard(bench, job_id, requester(), ALL)["sentence"])
