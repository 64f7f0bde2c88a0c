"""Showing and deciding about jobs that were set aside."""

import click

from ..engine.core.bench import Bench
from ..engine.jobs import held
from ..engine.sites.visibility import SiteVisibility
from ..engine.views import board
from .context import print_json
from .output import seconds, table
from .submit import requester

ALL = SiteVisibility(None)  # whoever has a shell sees every site


def show_jobs(bench: Bench, as_json: bool) -> None:
	"""Print held and delayed jobs; releases those that are due."""
	with held.reading_rq(bench) as seen:
		found = held.held_jobs(bench, seen)
	if as_json:
		print_json({"jobs": [held.as_json(bench, one) for one in found]})
	elif not found:
		click.echo("No job is held and none waits for its pause.")
	else:
		headings = ("JOB", "METHOD", "SITE", "STATE", "WHY", "WHO", "WHEN")
		table([row(one) for one in found], headings)


def row(one: held.HeldJob) -> tuple[str, ...]:
	state = one.kind if one.due_in_seconds is None else f"runs in {seconds(one.due_in_seconds)}"
	return (one.job.id, one.job.method, one.job.site, state, one.job.why, one.job.who, one.job.at)


def requeue(bench: Bench, job_id: str) -> None:
	click.echo(board.requeue(bench, job_id, requester(), ALL)["sentence"])


def discard(bench: Bench, job_id: str) -> None:
	click.echo(board.discard(bench, job_id, requester(), ALL)["sentence"])
