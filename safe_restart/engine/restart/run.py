"""One request while it is carried out: what it was asked, what it knows, and what it says."""

import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from redis.exceptions import RedisError

from ..core.bench import Bench
from ..core.errors import Cancelled, RestartError, Unreachable
from ..jobs import rescue
from ..managers import base, detect
from ..managers.base import BY_HAND, ProcessManager, Service
from ..managers.retrying import retrying
from ..processes.classify import WORKERS
from ..rq import snapshot
from ..rq.snapshot import Job
from ..rq.suspension import Lease
from ..services.pending import PendingServices
from ..state.journal import Journal
from ..state.locks import BenchLock
from ..state.records import ASK, RUNNING, Request
from ..state.report import RestartReport
from ..web import health as web_health
from ..workers.fleet import Fleet, FleetReader, WorkerProgram
from ..workers.stopper import PATIENCE_SECONDS, StopRequest, WorkerStopper
from .announcer import Announcer
from .options import Options
from .strategies import Strategy, adapt_to_manager, strategy_named

WAITING_FOR_PEER = "kept until another is back"
PAUSE_SECONDS = 0.5

Found = TypeVar("Found")


@dataclass
class Run:
	"""One request while it is carried out."""

	bench: Bench
	request: Request
	journal: Journal
	manager: ProcessManager
	watch: FleetReader
	lease: Lease
	lock: BenchLock
	strategy: Strategy
	options: Options
	is_stop_requested: Callable[[], bool] = lambda: False
	account: RestartReport = field(default_factory=RestartReport)
	redis_is_up: bool = True
	is_watching: bool = False
	old_incarnations: set[str] = field(init=False)
	left_down: set[str] = field(init=False)
	sites_before: dict[str, web_health.Health] = field(default_factory=dict)
	workers_before: Fleet | None = None
	running_at_start: dict[str, Job | None] = field(default_factory=dict)
	rescued: rescue.Rescued = field(default_factory=rescue.Rescued)
	expected: set[str] = field(default_factory=set)
	services_began: bool = False
	probe: web_health.Probe | None = None

	def __post_init__(self):
		self.can_be_cancelled = True
		self.manager = self.watch.manager = retrying(self.manager, self.patiently)
		self.old_incarnations = set(self.request.state.get("incarnations", ()))
		self.left_down = set(self.request.state.get("left_down", ()))
		self.retirement = WorkerStopper(self.watch, self.lease, self.note, self.check_cancelled)
		self.returning = PendingServices(self.manager, self.account.problems)
		self.announcer = Announcer(self.bench, self.watch.observer.redis)

	@property
	def can_be_cancelled(self) -> bool:
		"""Until something is stopped; from then on it goes forward, whether the journal can be written or not."""
		return not self.journal.pen.goes_on

	@can_be_cancelled.setter
	def can_be_cancelled(self, value: bool) -> None:
		self.journal.pen.goes_on = not value

	def remember_processes(self, services: Iterable[Service]) -> None:
		"""Know from here on which processes are old, and what a person keeps down, also in another helper; what the first
		one saw counts."""
		if not self.old_incarnations:
			self.old_incarnations = {service.incarnation for service in services if service.incarnation}
			self.left_down = {service.name for service in services if service.is_left_down}
			self.journal.remember(
				self.request.id, incarnations=sorted(self.old_incarnations), left_down=sorted(self.left_down)
			)

	@property
	def signature(self) -> str:
		return f"{self.request.requested_by}, request {self.request.id}"

	def note(self, text: str) -> None:
		self.journal.note(self.request.id, text)

	def ask(self, text: str) -> None:
		"""Say what a person has to do, to whoever follows."""
		self.journal.note(self.request.id, text, ASK)

	def warn(self, text: str) -> None:
		if text not in self.account.warnings:
			self.account.warnings.append(text)
			self.note(text)

	@property
	def is_asked_to_stop(self) -> bool:
		return self.is_stop_requested() or self.journal.is_cancel_requested(self.request.id)

	def check_cancelled(self) -> None:
		if self.can_be_cancelled and self.is_asked_to_stop:
			raise Cancelled(
				"Cancelled before anything was stopped. No job was interrupted; the bench works as before."
			)

	def patiently(self, act: Callable[[], Found]) -> Found:
		"""Do something that may safely be repeated, again while Redis or the process manager is away.

		Raises what it raised last after PATIENCE_SECONDS, and Cancelled.
		"""
		deadline = time.monotonic() + PATIENCE_SECONDS
		said = ""
		while True:
			try:
				return act()
			except (RedisError, OSError, Unreachable) as error:
				if time.monotonic() > deadline:
					raise
				if str(error) != said:
					said = str(error)
					self.note(f"{error}; trying again")
				self.check_cancelled()
				time.sleep(PAUSE_SECONDS)

	def report(self, status: str, exit_code: int, outcome: str) -> None:
		"""Set down in the journal what became of the request, with all that was counted."""
		self.journal.report(self.request.id, status, exit_code, outcome, self.account.as_dict())
		self.announcer.say(self.request.id, status)

	@contextmanager
	def step(self, name: str):
		number = self.journal.start_step(self.request.id, name)
		self.announcer.say(self.request.id, RUNNING, name)
		detail: list[str] = []
		try:
			yield detail
			self.journal.end_step(self.request.id, number, "done", "; ".join(detail))
		except BaseException as error:
			self.journal.end_step(self.request.id, number, "failed", str(error) or type(error).__name__)
			raise
		if shortfall := self.journal.pen.shortfall:
			self.warn(shortfall)

	@property
	def stragglers(self) -> list[StopRequest]:
		"""Units that were told to go and still run a job on the old code, and those kept until one is back."""
		told = [one for one in self.retirement.told.values() if not one.is_gone]
		return told + [StopRequest(unit, None, WAITING_FOR_PEER, True) for unit in self.untold()]

	def untold(self) -> list[WorkerProgram]:
		if not self.workers_before or WORKERS not in self.options.only:
			return []
		units = self.workers_before.units if self.strategy.way != BY_HAND else ()  # those a person replaces
		old = [unit for unit in units if self.is_old(unit.service) and not unit.is_orphan]
		return [unit for unit in old if unit.name not in self.retirement.told] + self.untold_orphans()

	def untold_orphans(self) -> list[WorkerProgram]:
		"""Of the last look; each is told by its pid, as it may have been told while its manager lived."""
		told = {one.process.pid for one in self.retirement.told.values() if one.process}
		orphans = self.watch.orphans if WORKERS in self.options.only else []
		return [unit for unit in orphans if unit.service.pid not in told]

	def is_down(self, service: Service) -> bool:
		"""Whether it has no process and should have one."""
		return not service.incarnation and service.name not in self.left_down

	def is_old(self, service: Service) -> bool:
		"""Whether its process was there when this restart began. Not by its age, as a clock may be set meanwhile."""
		return service.incarnation in self.old_incarnations


def prepare(
	bench: Bench, request: Request, journal: Journal, lock: BenchLock, is_stop_requested: Callable[[], bool]
) -> Run:
	"""All that a request needs to run. Raises Refused where the request or the bench does not allow it."""
	options = Options.from_dict(request.options)
	manager = detect.find_manager(bench)
	strategy = adapt_to_manager(strategy_named(request.strategy), manager.way)
	if manager.way != request.state.get("way", base.EACH):
		journal.remember(request.id, way=manager.way)
	watch = FleetReader(bench, manager, snapshot.RqReader(bench))
	# A SQLite connection belongs to the thread that made it, and the lease speaks from its own.
	lease = Lease(
		watch.observer.redis,
		bench.bench_id,
		request.id,
		lambda sentence: note_apart(bench, request, sentence),
	)
	return Run(bench, request, journal, manager, watch, lease, lock, strategy, options, is_stop_requested)


def note_apart(bench: Bench, request: Request, sentence: str) -> None:
	with suppress(RestartError):  # a full disk must not end the thread that keeps the lease
		Journal(bench).note(request.id, sentence)
