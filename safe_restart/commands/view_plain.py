"""Shows a restart line by line, for pipes and logs."""

import click

from ..engine.core.bench import Bench
from ..engine.state.journal import Journal
from ..engine.state.records import Request
from .output import EventLines, closing_lines, is_resumed, opening_line, step_line


class PlainView:
	"""Prints each step when it has ended, and events as EventLines yields them. A context manager."""

	def __init__(self, bench: Bench, journal: Journal, request: Request, verbose: bool, to_stderr: bool):
		self.bench = bench
		self.journal = journal
		self.request = request
		self.to_stderr = to_stderr
		# Earlier steps of a resumed request were shown when they ended.
		self.steps_shown = len(journal.steps(request.id)) if is_resumed(request) else 0
		self.events = EventLines(journal, request, verbose)

	def __enter__(self) -> "PlainView":
		self.say(opening_line(self.bench, self.request))
		return self

	def __exit__(self, *_: object) -> None:
		pass

	def say(self, text: str) -> None:
		click.echo(text, err=self.to_stderr)

	def update(self, request: Request) -> None:
		"""Print the steps that have ended, and the events that have come."""
		for step in self.journal.steps(request.id)[self.steps_shown :]:
			if step.status == "doing":
				break
			self.say(step_line(step))
			self.steps_shown += 1
		for line in self.events.new(request):
			self.say(line)

	def end(self, request: Request) -> None:
		"""Print how the request ended."""
		for line in closing_lines(request):
			self.say(line)
