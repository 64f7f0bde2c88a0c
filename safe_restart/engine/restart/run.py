"""One request while it is carried out: the parts that carry it out, and what they know by now."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields

from ..core.bench import Bench
from ..core.errors import RestartError
from ..jobs.rescue import Rescued
from ..managers.base import ProcessManager, RestartMode, Service
from ..managers.detect import find_manager
from ..managers.retrying import retrying
from ..processes.classify import WORKERS
from ..rq.snapshot import Job, RqReader
from ..rq.suspension import Lease
from ..services.pending import PendingServices
from ..state.journal import Journal
from ..state.locks import BenchLock
from ..state.records import RUNNING, Request
from ..state.report import RestartReport
from ..web.health import Health, Probe
from ..workers.fleet import Fleet, FleetReader, WorkerProgram
from ..workers.stop_request import StopRequest
from ..workers.stopper import WorkerStopper
from .announcer import Announcer
from .context import RequestContext
from .options import Options
from .strategies import Strategy, adapt_to_manager, restart_mode_of, strategy_named

WAITING_FOR_PEER = "waits until another one is back"


@dataclass
class RestartState:
	"""What changes while a request is carried out.

	strategy, options: as chosen at first; a recovery, and a restart without Redis, go on with others
	old_process_identities: the processes that ran when the request began
	intentionally_stopped: names of the services that a person keeps down
	is_watching: the command has returned, and only workers with a job are still waited for
	workers_before: the workers when the request began; None where Redis was down
	running_at_start: the jobs that ran then, by their ids
	expected: names of the worker programs that were asked to stop and are to come back
	"""

	strategy: Strategy
	options: Options
	report: RestartReport
	old_process_identities: set[str]
	intentionally_stopped: set[str]
	redis_is_up: bool = True
	is_watching: bool = False
	sites_before: dict[str, Health] = field(default_factory=dict)
	workers_before: Fleet | None = None
	running_at_start: dict[str, Job | None] = field(default_factory=dict)
	rescued: Rescued = field(default_factory=Rescued)
	expected: set[str] = field(default_factory=set)
	probe: Probe | None = None


@dataclass(frozen=True)
class Run(RequestContext):
	"""A request with everything that is needed to carry it out."""

	manager: ProcessManager
	fleet_reader: FleetReader
	lease: Lease
	stopper: WorkerStopper
	pending_services: PendingServices
	announcer: Announcer
	state: RestartState

	@property
	def strategy(self) -> Strategy:
		return self.state.strategy

	@property
	def options(self) -> Options:
		return self.state.options

	@property
	def report(self) -> RestartReport:
		return self.state.report

	def warn(self, text: str) -> None:
		"""Add a warning to the report, once, and note it."""
		if text not in self.report.warnings:
			self.report.warnings.append(text)
			self.note(text)

	def write_report(self, status: str, exit_code: int, outcome: str) -> None:
		"""Write into the journal how the request ended, with all that was counted."""
		self.journal.write_report(self.request.id, status, exit_code, outcome, self.report.as_dict())
		self.announcer.say(self.request.id, status)

	@contextmanager
	def step(self, name: str) -> Iterator[list[str]]:
		"""Write a step into the journal before it acts and after it acted.

		What is appended to the list becomes its detail.
		"""
		number = self.journal.start_step(self.request.id, name)
		self.announcer.say(self.request.id, RUNNING, name)
		detail: list[str] = []
		try:
			yield detail
			self.journal.end_step(self.request.id, number, "done", "; ".join(detail))
		except BaseException as error:
			self.journal.end_step(self.request.id, number, "failed", str(error) or type(error).__name__)
			raise
		if problem := self.journal.writer.write_problem:
			self.warn(problem)

	def remember_processes(self, services: Iterable[Service]) -> None:
		"""Remember which processes are old and which services a person keeps down, for a later helper too.

		Only the first call of a request counts.
		"""
		state = self.state
		if not state.old_process_identities:
			services = list(services)
			state.old_process_identities = {one.process_identity for one in services if one.process_identity}
			state.intentionally_stopped = {one.name for one in services if one.is_intentionally_stopped}
			self.journal.remember(
				self.request.id,
				process_identities=sorted(state.old_process_identities),
				intentionally_stopped=sorted(state.intentionally_stopped),
			)

	def is_down(self, service: Service) -> bool:
		"""Whether the service has no process and should have one."""
		return not service.process_identity and service.name not in self.state.intentionally_stopped

	def is_old(self, service: Service) -> bool:
		"""Whether its process ran when this restart began.

		Its age does not count, as the clock may be set meanwhile.
		"""
		return service.process_identity in self.state.old_process_identities

	@property
	def programs_before(self) -> tuple[WorkerProgram, ...]:
		"""The worker programs that were there when the restart began; none where Redis was down."""
		return self.state.workers_before.programs if self.state.workers_before else ()

	@property
	def stragglers(self) -> list[StopRequest]:
		"""Worker programs with old code: those that were asked to stop and still have a job, and those that
		are asked when another worker of their queues is back."""
		asked = [one for one in self.stopper.stop_requests.values() if not one.is_gone]
		return asked + [
			StopRequest(program, None, WAITING_FOR_PEER, True) for program in self.unasked_programs()
		]

	def unasked_programs(self) -> list[WorkerProgram]:
		"""Worker programs with old code that were not asked to stop yet."""
		if not self.state.workers_before or WORKERS not in self.options.only:
			return []
		# Where a person restarts the bench by hand, no worker is asked.
		programs = self.programs_before if self.strategy.restart_mode != RestartMode.MANUAL else ()
		old = [one for one in programs if self.is_old(one.service) and not one.is_orphan]
		return [one for one in old if one.name not in self.stopper.stop_requests] + self.unasked_orphans()

	def unasked_orphans(self) -> list[WorkerProgram]:
		"""Orphans of the last snapshot that were not asked to stop.

		Their pids are compared, as one may have been asked under its own name while its manager lived.
		"""
		asked = {one.process.pid for one in self.stopper.stop_requests.values() if one.process}
		orphans = self.fleet_reader.orphans if WORKERS in self.options.only else []
		return [one for one in orphans if one.service.pid not in asked]


def prepare(
	bench: Bench, request: Request, journal: Journal, lock: BenchLock, is_stop_requested: Callable[[], bool]
) -> Run:
	"""Put together all that a request needs to run.

	Raises Refused where the request or the bench does not allow it.
	"""
	options = Options.from_dict(request.options)
	found = find_manager(bench)
	strategy = adapt_to_manager(strategy_named(request.strategy), found.restart_mode)
	if found.restart_mode != restart_mode_of(request):
		journal.remember(request.id, restart_mode=found.restart_mode)
	context = RequestContext(bench, request, journal, lock, is_stop_requested)
	manager = retrying(found, context.retry_transient)
	fleet_reader = FleetReader(bench, manager, RqReader(bench))
	redis = fleet_reader.redis
	lease = Lease(
		redis, bench.bench_id, request.id, lambda sentence: note_from_thread(bench, request, sentence)
	)
	state = RestartState(
		strategy,
		options,
		RestartReport(),
		set(request.state.get("process_identities", ())),
		set(request.state.get("intentionally_stopped", ())),
	)
	return Run(
		**{one.name: getattr(context, one.name) for one in fields(context)},
		manager=manager,
		fleet_reader=fleet_reader,
		lease=lease,
		stopper=WorkerStopper(fleet_reader, lease, context.note, context.check_cancelled),
		pending_services=PendingServices(manager, state.report.problems),
		announcer=Announcer(bench, redis),
		state=state,
	)


def note_from_thread(bench: Bench, request: Request, sentence: str) -> None:
	"""Note what the lease says.

	It speaks from a thread of its own, and a SQLite connection belongs to one thread.
	"""
	with suppress(RestartError):  # a full disk must not end the thread that renews the lease
		Journal(bench).note(request.id, sentence)
