"""What all commands share: finding their bench, errors as one sentence, JSON."""

from typing import Any

import click

from ..engine.core.bench import Bench


class Group(click.Group):
	"""A click group that turns the engine's errors into one sentence and the right exit code."""

	def invoke(self, ctx: click.Context) -> Any:
		from ..engine.core.errors import RestartError

		try:
			return super().invoke(ctx)
		except RestartError as error:
			click.echo(f"Error: {error}", err=True)
			if ctx.params.get("as_json"):
				from ..engine.state.report import refusal

				print_json(refusal(error))
			ctx.exit(error.exit_code)


def context_of_group(ctx: click.Context) -> click.Context:
	"""The context of `safe-restart` itself, from that of one of its commands.

	Under `bench` it is not the root.
	"""
	while "bench_path" not in ctx.params and ctx.parent:
		ctx = ctx.parent
	return ctx


def this_bench(ctx: click.Context) -> Bench:
	"""The bench named by --bench, or the one the current folder lies in. Raises Refused."""
	from ..engine.core import bench

	path = context_of_group(ctx).params["bench_path"]
	return bench.load(path) if path else bench.find_bench(".")


def print_json(value: dict) -> None:
	import json

	click.echo(json.dumps(value, indent=1, default=str))
