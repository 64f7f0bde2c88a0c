"""Showing and deciding about jobs that were set aside."""

from collections.abc import Callable
from contextlib import contextmanager

import click
from redis.exceptions import RedisError

from ..engine import queues, setaside
from ..engine.bench import Bench
from ..engine.errors import RestartError
from . import print_json
from .render import seconds, table
from .run import requester


@contextmanager
def observer(bench: Bench):
	try:
		yield queues.Observer(bench)
	except (RedisError, OSError) as error:
		raise RestartError(
			f"Redis at {bench.redis_queue_url} does not answer ({error}). Nothing was changed. Start it and try again."
		) from None


def show_jobs(bench: Bench, as_json: bool) -> None:
	"""Print held and delayed jobs; releases those that are due."""
	with observer(bench) as seen:
		found = setaside.jobs(bench, seen)
	if as_json:
		print_json({"jobs": [setaside.as_dict(bench, one) for one in found]})
	elif not found:
		click.echo("No job is held and none waits for its pause.")
	else:
		headings = ("JOB", "METHOD", "SITE", "STATE", "WHY", "WHO", "WHEN")
		table([row(one) for one in found], headings)


def row(one: setaside.SetAside) -> tuple[str, ...]:
	state = one.kind if one.due_in_seconds is None else f"runs in {seconds(one.due_in_seconds)}"
	return (one.job.id, one.job.method, one.job.site, state, one.job.why, one.job.who, one.job.at)


def requeue(bench: Bench, job_id: str) -> None:
	decide(bench, setaside.requeue, job_id)
	click.echo(f"{job_id} stands at the front of its queue.")


def discard(bench: Bench, job_id: str) -> None:
	decide(bench, setaside.discard, job_id)
	click.echo(f"{job_id} is marked as failed and will not run.")


def decide(bench: Bench, action: Callable[[Bench, queues.Observer, str, str], None], job_id: str) -> None:
	with observer(bench) as seen:
		action(bench, seen, job_id, requester())
