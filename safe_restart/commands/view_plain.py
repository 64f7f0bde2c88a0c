"""Following a restart line by line, for pipes and logs."""

import click

from ..engine.core.bench import Bench
from ..engine.state.journal import Journal
from ..engine.state.records import Request
from .output import EventLines, closing_lines, has_a_past, step_line


class PlainView:
	"""Prints each step once it has ended, and each event where that was asked for. A context manager."""

	def __init__(self, bench: Bench, journal: Journal, request: Request, verbose: bool, to_stderr: bool):
		self.bench = bench
		self.journal = journal
		self.request = request
		self.to_stderr = to_stderr
		# A request that is gone on with has a past, which was shown then.
		self.steps_shown = len(journal.steps(request.id)) if has_a_past(request) else 0
		self.events = EventLines(journal, request, verbose)

	def __enter__(self) -> "PlainView":
		self.say(f"Request {self.request.id}: {self.request.strategy} restart of {self.bench.path}")
		return self

	def __exit__(self, *_: object) -> None:
		pass

	def say(self, text: str) -> None:
		click.echo(text, err=self.to_stderr)

	def update(self, request: Request) -> None:
		for step in self.journal.steps(request.id)[self.steps_shown :]:
			if step.status == "doing":
				break
			self.say(step_line(step))
			self.steps_shown += 1
		for line in self.events.new(request):
			self.say(line)

	def end(self, request: Request) -> None:
		for line in closing_lines(request):
			self.say(line)
