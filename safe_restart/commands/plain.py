"""Following a restart line by line, for pipes and logs."""

import click

from ..engine.bench import Bench
from ..engine.journal import Journal, Request
from .render import closing_lines, step_line


class PlainView:
	"""Prints each step once it has ended, and each event where that was asked for. A context manager."""

	def __init__(self, bench: Bench, journal: Journal, request: Request, verbose: bool, to_stderr: bool):
		self.bench = bench
		self.journal = journal
		self.request = request
		self.verbose = verbose
		self.to_stderr = to_stderr
		self.steps_shown = 0
		self.last_event = 0

	def __enter__(self) -> "PlainView":
		self.say(f"Request {self.request.id}: {self.request.strategy} restart of {self.bench.path}")
		return self

	def __exit__(self, *_) -> None:
		pass

	def say(self, text: str) -> None:
		click.echo(text, err=self.to_stderr)

	def update(self, request: Request) -> None:
		for step in self.journal.steps(request.id)[self.steps_shown :]:
			if step.status == "doing":
				break
			self.say(step_line(step))
			self.steps_shown += 1
		if self.verbose:
			for event in self.journal.events(request.id, self.last_event):
				self.say(f"  {event.at[11:23]}  {event.text}")
				self.last_event = event.number

	def end(self, request: Request) -> None:
		for line in closing_lines(request):
			self.say(line)
