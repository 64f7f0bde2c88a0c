"""The runbook: what a restart does, in order.

`restart` runs the steps of the chosen strategy (strategies.py); each step is one function below, in the order in which
they usually come. A step is journaled before it acts and after it acted.
"""

import dataclasses
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from . import journal as journals
from . import managers, processes, queues, rescue, web
from .bench import Bench
from .drain import Undrained, drain
from .errors import COMPLETED, Cancelled, Refused, RestartError
from .fleet import Fleet, Unit, Watch
from .journal import Journal, Request
from .lock import Lock
from .managers import REDIS, SCHEDULER, SOCKETIO, WEB, WORKERS, Manager, Service
from .replace import Returning
from .report import Account
from .retire import Retirement, Told
from .strategies import FINISH_FIRST, NOW, WATCHING_STEPS, Options, Strategy, check_redis, choose
from .suspension import Lease

START_TIMEOUT_SECONDS = 60  # a Frappe web or worker process boots in 1 to 10 s, on a cold disk in 30
LOOK_SECONDS = 0.02
CALM_LOOK_SECONDS = 0.25  # while only stragglers are watched
SERVICE_ORDER = (SCHEDULER, WEB, SOCKETIO)


@dataclass
class Run:
	"""One request while it is carried out."""

	bench: Bench
	request: Request
	journal: Journal
	manager: Manager
	watch: Watch
	lease: Lease
	lock: Lock
	strategy: Strategy
	options: Options
	is_stop_requested: Callable[[], bool] = lambda: False
	account: Account = field(default_factory=Account)
	redis_is_up: bool = True
	is_watching: bool = False
	can_be_cancelled: bool = True
	began: float = field(default_factory=time.time)
	sites_before: dict[str, web.Health] = field(default_factory=dict)
	workers_before: Fleet | None = None
	running_at_start: list[str] = field(default_factory=list)
	rescued: rescue.Rescued = field(default_factory=rescue.Rescued)
	expected: set[str] = field(default_factory=set)
	services_began: bool = False
	probe: web.Probe | None = None

	def __post_init__(self):
		self.retirement = Retirement(self.watch, self.note)
		self.returning = Returning(self.manager)

	def note(self, text: str) -> None:
		self.journal.note(self.request.id, text)

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

	@contextmanager
	def step(self, name: str):
		number = self.journal.start_step(self.request.id, name)
		detail: list[str] = []
		try:
			yield detail
		except BaseException as error:
			self.journal.end_step(self.request.id, number, "failed", str(error) or type(error).__name__)
			raise
		self.journal.end_step(self.request.id, number, "done", "; ".join(detail))

	@property
	def touches_workers(self) -> bool:
		return WORKERS in self.options.only or REDIS in self.options.only

	@property
	def stragglers(self) -> list[Told]:
		"""Units that were told to go and still run a job on the old code, and those kept until one is back."""
		told = [one for one in self.retirement.told.values() if not one.is_gone]
		return told + [Told(unit, None, "kept until another is back", True) for unit in self.untold()]

	def untold(self) -> list[Unit]:
		if not self.workers_before or WORKERS not in self.options.only:
			return []
		return [unit for unit in self.workers_before.units if unit.name not in self.retirement.told]


def restart(run: Run) -> None:
	"""Carry out the request from top to bottom, and leave the bench working whatever happens.

	Sets down its report in the journal. Raises RestartError where it was refused, timed out, was cancelled or failed;
	before anything was stopped that means that all is as before, from then on that everything was started again.
	"""
	try:
		run_steps(run, run.strategy.steps)
	finally:
		run.lease.release()
		end_probe(run)
	if run.stragglers:
		name_stragglers(run)
		set_down(run, journals.WATCHING)
	else:
		set_down(run, journals.COMPLETED)


def watch_stragglers(run: Run) -> None:
	"""Stay until the last old worker is replaced, while the caller has long returned."""
	run.is_watching = True
	run.account.warnings.clear()
	try:
		run_steps(run, WATCHING_STEPS)
	finally:
		run.lease.release()
	name_stragglers(run)
	set_down(run, journals.COMPLETED)


def hold(run: Run) -> None:
	"""Drain, say so, and keep the bench drained until somebody resumes it or the time is over. Restarts nothing."""
	try:
		run_steps(run, run.strategy.steps)
		until = time.time() + run.options.hold_seconds
		count(run)
		clock = time.strftime("%H:%M:%S UTC", time.gmtime(until))
		outcome = f"Drained: no job runs, new ones wait. Held until {clock}, or until `safe-restart resume`."
		run.journal.report(run.request.id, journals.WATCHING, COMPLETED, outcome, asdict(run.account))
		with run.step("hold") as detail:
			while time.time() < until and not run.is_asked_to_stop:
				time.sleep(LOOK_SECONDS)
			detail.append("resumed" if time.time() < until else "the time was over")
	finally:
		run.lease.release()
	run.journal.report(
		run.request.id,
		journals.COMPLETED,
		run.account.exit_code,
		"Workers take jobs again.",
		asdict(run.account),
	)


def run_steps(run: Run, names: tuple[str, ...]) -> None:
	for name in names:
		run.check_cancelled()
		with run.step(name) as detail:
			STEPS[name](run, detail)


def preflight(run: Run, detail: list[str]) -> None:
	"""See that this can succeed, and remember how the bench was. Touches nothing."""
	check_redis(run.strategy, run.options)
	services = run.manager.services()
	if not any(service.kind in run.options.only for service in services):
		raise Refused(
			f"{run.manager.name} runs no {' or '.join(run.options.only)} service of {run.bench.path}. Nothing was touched."
		)
	run.redis_is_up = queues.is_up(run.watch.observer.redis)
	if run.redis_is_up:
		see_workers(run)
	else:
		go_without_redis(run, services)
	if REDIS in run.options.only and run.redis_is_up:
		check_redis_keeps_jobs(run)
	if WEB in run.options.only and any(service.kind == WEB for service in services):
		run.sites_before = web.health(run.bench)
	counts = run.account
	detail.append(
		f"{counts.workers.before} workers, {counts.jobs.running_at_start} jobs running, "
		f"{counts.jobs.queued_at_start} waiting"
	)


def go_without_redis(run: Run, services: list[Service]) -> None:
	"""Restart what does not need Redis. Workers are left: a new one could not start, an old one waits for Redis."""
	down = f"Redis at {run.bench.redis_queue_url} does not answer"
	others = [kind for kind in run.options.only if kind not in (WORKERS, REDIS)]
	starts = [f"supervisorctl start {s.name}" for s in services if s.kind == REDIS and not s.is_up]
	if run.strategy.name != NOW or not others:
		raise Refused(
			f"{down}, so nobody can say which jobs run, and no worker could start. Nothing was touched. Start Redis "
			f"first{f' ({starts[0]})' if starts else ''}; --now restarts the other services without it."
		)
	run.options = dataclasses.replace(run.options, only=tuple(others))
	run.warn(
		f"{down}: running jobs could not be seen and workers were left as they are, since a new one could not start. "
		f"They go on by themselves once Redis is back{f' ({starts[0]})' if starts else ''}; then run `safe-restart`, "
		"which also finds interrupted jobs."
	)


def see_workers(run: Run) -> None:
	fleet = run.workers_before = run.watch.see()
	run.running_at_start = [worker.job_id for worker, _ in fleet.running if worker.job_id]
	run.account.workers.before = len(fleet.workers)
	run.account.jobs.running_at_start = len(fleet.running)
	run.account.jobs.queued_at_start = fleet.look.queued
	for worker in fleet.strays if run.touches_workers else ():
		run.warn(
			f"worker {worker.name} (pid {worker.pid} on {worker.hostname}) is not kept by {run.manager.name}: it is "
			"not replaced and goes on with its old code"
		)


def check_redis_keeps_jobs(run: Run) -> None:
	config = run.watch.observer.redis.config_get("save", "appendonly")
	if config.get("appendonly") != "yes" and not config.get("save"):
		raise Refused(
			f"Redis at {run.bench.redis_queue_url} keeps nothing on disk (save and appendonly are off): restarting it "
			"would lose every queued job. Nothing was touched. Leave redis out of --only."
		)


def suspend(run: Run, detail: list[str]) -> None:
	"""Take the lease, so that no worker takes a new job."""
	if not (run.touches_workers and run.redis_is_up):
		detail.append("not needed")
		return
	take_lease(run)
	if run.lease.foreign:
		run.warn(
			f"the queues were suspended already, by {run.lease.foreign!r}: that was left as it was, so no job starts "
			"until it is lifted (redis-cli DEL rq:suspended)"
		)
	detail.append("workers take no new job")


def take_lease(run: Run) -> None:
	before = run.watch.see()
	run.lease.take()
	run.retirement.flag_was_set(before)


def drain_workers(run: Run, detail: list[str]) -> None:
	"""Finish first: wait until nothing runs. Otherwise: tell each worker that can go to go, and ask the busy ones."""
	if not run.touches_workers:
		detail.append("no worker is touched")
	elif not run.redis_is_up:
		detail.append("not possible: Redis is down")
	elif run.strategy.busy == FINISH_FIRST:
		drain(
			run.watch,
			run.retirement,
			run.options.wait_workers_timeout,
			run.check_cancelled,
			lambda fleet, undrained: note_progress(run, undrained),
		)
		detail.append("nothing runs, seen twice")
	else:
		run.can_be_cancelled = False
		tell(run, next_batch(run, run.watch.see()))
		busy = sum(one.was_busy for one in run.retirement.told.values())
		detail.append(f"{len(run.retirement.told) - busy} workers can go now, {busy} after their job")


def note_progress(run: Run, undrained: Undrained) -> None:
	if undrained.busy:
		jobs = ", ".join(f"{job or 'a job'} on pid {worker.pid}" for worker, job in undrained.busy)
		run.note(f"waiting for {len(undrained.busy)}: {jobs}")
	elif undrained.unproven:
		run.note(f"waking {len(undrained.unproven)} idle workers")
	else:
		run.note("no worker can take a job")


def tell(run: Run, names: set[str]) -> None:
	"""Tell these units to go and expect each back. The lease must be held."""
	if names:
		run.retirement.tell(names)
	for name, told in run.retirement.told.items():
		if name not in run.expected:
			run.expected.add(name)
			run.returning.expect(told.unit.service)
			run.note(
				f"{name} (pid {told.unit.service.pid}): {told.how}{', after its job' if told.was_busy else ''}"
			)


def next_batch(run: Run, fleet: Fleet) -> set[str]:
	"""The units that may be told now: each queue keeps one worker, either new or not told yet."""
	untold = {unit.name: unit for unit in run.untold()}
	if not run.strategy.in_batches:
		return set(untold)
	busy = {worker.name for worker, _ in fleet.running}
	serving: dict[str, set[str]] = {}
	for unit in fleet.units:
		is_leaving = unit.name in run.retirement.told and not is_back(run, unit)
		for queue in unit.queues if not is_leaving else ():
			serving.setdefault(queue, set()).add(unit.name)
	alone = {
		queue
		for unit in run.workers_before.units
		for queue in unit.queues
		if not any(queue in other.queues for other in run.workers_before.units if other.name != unit.name)
	}
	batch: set[str] = set()
	for name, unit in sorted(untold.items(), key=lambda item: any(w.name in busy for w in item[1].workers)):
		if all(queue in alone or serving.get(queue, set()) - {name} for queue in unit.queues):
			batch.add(name)
			for queue in unit.queues:
				serving.get(queue, set()).discard(name)
	return batch


def is_back(run: Run, unit: Unit) -> bool:
	told = run.retirement.told[unit.name]
	return bool(unit.workers) and unit.service.pid != told.unit.service.pid


def stop(run: Run, detail: list[str]) -> None:
	"""From here on it goes forward only. Finish first: every worker leaves. Otherwise: the grace ends."""
	if run.strategy.busy == FINISH_FIRST:
		run.can_be_cancelled = False
		begin_services(run)
		if WORKERS in run.options.only:
			tell(run, {unit.name for unit in run.untold()})
			wait_gone(run)
			detail.append(f"{len(run.retirement.told)} workers left")
	else:
		killed = interrupt(run)
		detail.append(
			f"{killed} workers were killed with their job" if killed else "no job had to be interrupted"
		)
	if REDIS in run.options.only:
		restart_redis(run)
		detail.append("Redis is new")
	if run.strategy.busy != FINISH_FIRST:
		wait_back(run)


def restart_redis(run: Run) -> None:
	"""Nothing runs now. Redis saves on SIGTERM; the lease is a key like any other and comes back with the rest."""
	services = [service for service in run.manager.services() if service.kind == REDIS]
	for service in services:
		run.returning.expect(service).begin()
	deadline = time.monotonic() + START_TIMEOUT_SECONDS
	names = {service.name for service in services}
	while (away := run.returning.look() & names) or not queues.is_up(run.watch.observer.redis):
		if time.monotonic() > deadline:
			run.returning.give_up(away, START_TIMEOUT_SECONDS)
			raise RestartError(
				f"Redis at {run.bench.redis_queue_url} did not come back. Workers wait for it; nothing is lost that it "
				"had saved. See its log, start it, then run `safe-restart` again."
			)
		time.sleep(LOOK_SECONDS)


def wait_gone(run: Run) -> None:
	deadline = time.monotonic() + START_TIMEOUT_SECONDS
	while any(not told.is_gone for told in run.retirement.told.values()):
		if time.monotonic() > deadline:
			# Suspended and told to go, so it holds no job: killing it interrupts nothing.
			kill(run, [told for told in run.retirement.told.values() if not told.is_gone])
		run.manager.services()
		time.sleep(LOOK_SECONDS)


def interrupt(run: Run) -> int:
	"""Let running jobs have their grace, then kill those workers with their work-horses; returns how many."""
	killed = 0
	since = time.monotonic()
	while left := [told for told in run.retirement.told.values() if not told.is_gone]:
		for told in left:
			grace = run.options.force_kill_timeout
			grace = told.unit.service.stop_wait_seconds if grace is None else grace
			if time.monotonic() - since >= grace:
				kill(run, [told])
				killed += 1
		run.manager.services()
		time.sleep(LOOK_SECONDS)
	return killed


def kill(run: Run, told: list[Told]) -> None:
	"""SIGKILL workers and work-horses, so that no process with old code remains."""
	families = [process for one in told if one.process for process in processes.family(one.process)]
	for survivor in processes.kill(families):
		run.account.problems.append(f"process {survivor.pid} could not be killed; it still runs old code")
	for one in told:
		run.note(f"{one.unit.name} (pid {one.unit.service.pid}) was killed with its job")


def begin_services(run: Run) -> None:
	"""Signal scheduler, web and socketio, and start workers that were down; the manager brings each back."""
	if run.services_began:
		return
	run.services_began = True
	services = run.manager.services()
	begin_probe(run)
	for kind in SERVICE_ORDER:
		for service in services:
			if service.kind == kind and kind in run.options.only:
				run.returning.expect(service).begin()
	for service in services:
		if service.kind == WORKERS in run.options.only and not service.pid:
			run.returning.expect(service).begin()


def begin_probe(run: Run) -> None:
	"""Measure the web while it is replaced, at a site that answers; where none does, nothing can be said."""
	site = next((health.site for health in run.sites_before.values() if health.is_ok), None)
	if site:
		run.probe = web.Probe(run.bench, site)
		run.probe.start()
		run.account.web.checked = True


def end_probe(run: Run) -> None:
	if run.probe:
		run.probe.stop()
		run.account.web.outage_ms = run.probe.outage_ms
		run.probe = None


def replace(run: Run, detail: list[str]) -> None:
	"""Everything that can be new by now becomes new: web, scheduler, socketio and the workers without a job."""
	run.can_be_cancelled = False
	begin_services(run)
	wait_back(run)
	if run.probe:
		run.probe.wait_until_ok(START_TIMEOUT_SECONDS)
	end_probe(run)
	workers = [told for told in run.retirement.told.values() if told.is_gone]
	kinds = [service.kind for service in run.manager.services() if service.kind != WORKERS]
	others = [kind for kind in run.options.only if kind in kinds]
	detail.append(f"{', '.join(others) or 'no other service'} and {len(workers)} workers programs are new")


def wait_back(run: Run) -> None:
	"""Wait until all that left is back, batch after batch, but not for workers with a job."""
	deadline = time.monotonic() + START_TIMEOUT_SECONDS
	while away := advance(run):
		if time.monotonic() > deadline:
			run.returning.give_up(away, START_TIMEOUT_SECONDS)
			break
		time.sleep(LOOK_SECONDS)
	run.account.problems += run.returning.problems
	run.returning.problems.clear()


def advance(run: Run) -> set[str]:
	"""Move everything on by one look, and tell the next batch; returns who is away, without workers with a job."""
	in_job = {name for name, told in run.retirement.told.items() if told.was_busy and not told.is_gone}
	away = run.returning.look() - in_job
	if run.redis_is_up and run.strategy.in_batches and run.untold():
		fleet = run.watch.see()
		batch = next_batch(run, fleet)
		# A helper that only watches has given the lock back; whoever has it now replaces these workers too.
		if batch and run.lock.take():
			take_lease(run)
			tell(run, batch)
			run.lease.release()
			if run.is_watching:
				run.lock.release()
			return batch
		# Those not told yet wait for one that is away: until it has registered, there is something to wait for.
		away |= {unit.name for unit in fleet.units if unit.name in run.expected - in_job and not unit.workers}
	return away


def follow(run: Run, detail: list[str]) -> None:
	"""Wait for workers with a job to be replaced: within the timeout, or, once the call returned, to the end."""
	seconds = float("inf") if run.is_watching else run.options.wait_workers_timeout
	deadline = time.monotonic() + seconds
	while (away := advance(run)) or run.stragglers:
		if time.monotonic() > deadline or (run.is_watching and is_superseded(run)):
			break
		time.sleep(CALM_LOOK_SECONDS if run.is_watching and not away else LOOK_SECONDS)
	run.account.problems += run.returning.problems
	run.returning.problems.clear()
	left = len(run.stragglers)
	detail.append(f"{left} workers still run a job on old code" if left else "every worker is new")


def is_superseded(run: Run) -> bool:
	newer = [r for r in run.journal.open_requests() if r.started_at and r.created_at > run.request.created_at]
	return bool(newer)


def rescue_jobs(run: Run, detail: list[str]) -> None:
	"""Find every interrupted or lost job and run it again."""
	if not run.redis_is_up and not queues.is_up(run.watch.observer.redis):
		detail.append("not possible: Redis is down")
		return
	done = rescue.rescue(run.watch, run.options.interrupted, run.note)
	for name in ("requeued", "held", "failed", "lost_and_found", "still_running"):
		getattr(run.rescued, name).extend(getattr(done, name))
	found = len(done.requeued) + len(done.held) + len(done.failed)
	detail.append(f"{found} jobs found" if found else "nothing was interrupted or lost")
	for job_id in done.still_running:
		run.warn(f"job {job_id} still runs in a process without a worker, on old code")


def resume(run: Run, detail: list[str]) -> None:
	"""Give the lease back: workers take jobs again."""
	run.lease.release()
	detail.append("left suspended, as it was found" if run.lease.foreign else "workers take jobs")


def verify(run: Run, detail: list[str]) -> None:
	"""Does everything really work again? Looks until it does, at most START_TIMEOUT_SECONDS."""
	deadline = time.monotonic() + START_TIMEOUT_SECONDS
	while (wrong := what_is_wrong(run)) and time.monotonic() < deadline and not run.account.problems:
		time.sleep(LOOK_SECONDS)
	run.account.problems += [sentence for sentence in wrong if sentence not in run.account.problems]
	count(run)
	sites = [health.site for health in run.sites_before.values() if health.is_ok]
	detail.append(
		f"{run.account.workers.after} workers, {len(sites)} sites answer" if not wrong else "; ".join(wrong)
	)


def what_is_wrong(run: Run) -> list[str]:
	"""A sentence for each thing that worked before, or should work now, and does not."""
	services = [s for s in run.manager.services() if s.kind in run.options.only]
	wrong = [f"{service.name} is {service.state}." for service in services if service.state != "running"]
	for site, before in run.sites_before.items():
		now = web.ask(run.bench, site)
		if before.is_ok and not now.is_ok:
			wrong.append(f"Site {site} answered 200 before the restart and {now.status or 'nothing'} now.")
		if not before.is_ok and not now.is_ok:
			run.warn(
				f"site {site} answered {before.status or 'nothing'} before the restart and {now.status or 'nothing'} after"
			)
	if WORKERS in run.options.only and queues.is_up(run.watch.observer.redis):
		wrong += [
			f"{unit.name} has no registered worker." for unit in run.watch.see().units if not unit.workers
		]
	return wrong


def count(run: Run) -> None:
	"""Fill the account in from what can be seen now."""
	jobs, workers = run.account.jobs, run.account.workers
	jobs.interrupted = run.rescued.interrupted
	jobs.requeued, jobs.held = len(run.rescued.requeued), len(run.rescued.held)
	jobs.lost_and_found = len(run.rescued.lost_and_found)
	if not queues.is_up(run.watch.observer.redis):
		return
	fleet = run.watch.see()
	still = {job_id for job_id in run.running_at_start if job_id in {w.job_id for w in fleet.workers}}
	settled = {*run.rescued.requeued, *run.rescued.held, *run.rescued.failed, *run.rescued.still_running}
	jobs.finished_during = len(set(run.running_at_start) - still - settled)
	workers.after = len(fleet.workers)
	if run.workers_before:
		old = {worker.name for worker in run.workers_before.workers} & {
			worker.name for worker in fleet.workers
		}
		workers.still_old = len(old)
		workers.replaced = workers.before - len(old)


def name_stragglers(run: Run) -> None:
	for told in run.stragglers:
		run.warn(
			f"{told.unit.name} (pid {told.unit.service.pid}) still runs a job on old code; it is replaced when the "
			"job has ended"
		)


def set_down(run: Run, status: str) -> None:
	if run.account.problems:
		status = journals.FAILED
	run.journal.report(
		run.request.id, status, run.account.exit_code, run.account.outcome, asdict(run.account)
	)


STEPS = {
	"preflight": preflight,
	"suspend": suspend,
	"drain": drain_workers,
	"stop": stop,
	"replace": replace,
	"follow": follow,
	"rescue": rescue_jobs,
	"resume": resume,
	"verify": verify,
}


def prepare(
	bench: Bench, request: Request, journal: Journal, lock: Lock, is_stop_requested: Callable[[], bool]
) -> Run:
	"""All that a request needs to run. Raises Refused where the request or the bench does not allow it."""
	strategy, options = choose(request.strategy), Options.from_dict(request.options)
	manager = managers.detect(bench)
	redis = queues.connect(bench)
	watch = Watch(bench, manager, queues.Observer(bench, redis))
	# A SQLite connection belongs to the thread that made it, and the lease speaks from its own.
	lease = Lease(
		redis, bench.bench_id, request.id, lambda sentence: Journal(bench).note(request.id, sentence)
	)
	return Run(bench, request, journal, manager, watch, lease, lock, strategy, options, is_stop_requested)
