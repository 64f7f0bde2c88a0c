"""Shows a restart on a terminal: steps, and workers with their jobs, drawn in place."""

import time

from redis.exceptions import RedisError
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..engine.core.bench import Bench
from ..engine.core.text import pluralize
from ..engine.rq.snapshot import RqReader, RqSnapshot, Worker
from ..engine.state.journal import Journal
from ..engine.state.records import Request
from .output import EventLines, closing_lines, opening_line, seconds, step_line

DRAW_SECONDS = 0.25
STYLES = {"done": "green", "failed": "red", "doing": "bold"}


class LiveView:
	"""Draws the restart in place, and leaves the last picture on the terminal. A context manager."""

	def __init__(self, bench: Bench, journal: Journal, request: Request, verbose: bool):
		self.bench = bench
		self.journal = journal
		self.request = request
		self.rq_reader = RqReader(bench)
		self.console = Console(highlight=False)
		self.live = Live(console=self.console, refresh_per_second=8, transient=False)
		self.snapshot: RqSnapshot | None = None
		self.drawn_at = 0.0
		self.events = EventLines(journal, request, verbose)

	def __enter__(self) -> "LiveView":
		self.say(opening_line(self.bench, self.request))
		self.live.start()
		return self

	def __exit__(self, *_: object) -> None:
		self.live.stop()

	def say(self, text: str) -> None:
		self.console.print(text, markup=False)

	def update(self, request: Request) -> None:
		"""Draw anew, at most once in DRAW_SECONDS."""
		if time.monotonic() - self.drawn_at < DRAW_SECONDS:
			return
		self.drawn_at = time.monotonic()
		try:
			self.snapshot = self.rq_reader.snapshot()
		except (RedisError, OSError):
			self.snapshot = None
		for line in self.events.new(request):
			self.say(line)
		self.live.update(self.picture(request), refresh=True)

	def end(self, request: Request) -> None:
		"""Draw the last picture, and print how the request ended."""
		self.live.update(self.steps(request), refresh=True)
		self.live.stop()  # what is printed while it lives stands above the picture
		for line in closing_lines(request):
			self.say(line)

	def picture(self, request: Request) -> Group:
		return Group(self.steps(request), self.workers())

	def steps(self, request: Request) -> Group:
		return Group(
			*(
				Text(step_line(step), style=STYLES.get(step.status, ""))
				for step in self.journal.steps(request.id)
			)
		)

	def workers(self) -> Table | Text:
		if self.snapshot is None:
			return Text("  Redis does not answer", style="yellow")
		table = Table(box=None, pad_edge=False, padding=(0, 1))
		for heading in ("pid", "state", "job", "site", "age", "at most", "left"):
			table.add_column(heading, header_style="dim", no_wrap=True)
		for worker in sorted(self.snapshot.workers, key=lambda worker: worker.pid):
			table.add_row(*row(worker, self.snapshot))
		suspended = ", queues suspended" if self.snapshot.suspended_by else ""
		table.caption = f"{pluralize(self.snapshot.queued, 'job')} waiting{suspended}"
		return table


def row(worker: Worker, snapshot: RqSnapshot) -> list[str | ProgressBar]:
	"""The cells of one worker."""
	job = snapshot.job_of(worker)
	state = f"{worker.state}, leaves" if worker.shutdown_requested else worker.state
	if job is None:
		return [str(worker.pid), state, "", "", "", "", ""]
	age, left = job.age_seconds(snapshot.now), job.seconds_left(snapshot.now)
	bar: str | ProgressBar = ""
	if left is not None:
		bar = ProgressBar(total=max(1, job.timeout_seconds), completed=age, width=16)
	return [str(worker.pid), state, job.method[-48:], job.site, seconds(age), bar, seconds(left)]
