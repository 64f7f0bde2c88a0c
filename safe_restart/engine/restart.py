"""The runbook: what a restart does, in order.

`restart` runs the steps of the chosen strategy (strategies.py); each step is one function, below or in the module of
its name. A step is journaled before it acts and after it acted.
"""

import time
from contextlib import suppress

from redis.exceptions import RedisError

from . import journal as journals
from . import processes, queues, rescue
from .drain import Undrained, drain
from .errand import waking
from .errors import COMPLETED, RestartError
from .fleet import LOOK_SECONDS
from .handover import hand_over
from .hooks import after_hooks, before_hooks
from .managers import REDIS, WORKERS
from .migrating import halt, maintenance_on, migrate, pick_up, restore, start_again
from .preflight import preflight
from .run import KEPT, Run
from .services import begin_services, end_probe, restart_redis
from .strategies import FINISH_FIRST, STRATEGIES, WATCHING_STEPS, steps_of
from .suspension import describe
from .verify import count, name_stragglers, verify
from .words import many
from .workers import (
	START_TIMEOUT_SECONDS,
	advance,
	interrupt,
	next_batch,
	prove_return,
	tell,
	wait_back,
	wait_gone,
)

CALM_LOOK_SECONDS = 0.25  # while only stragglers are watched


def restart(run: Run) -> bool:
	"""Carry out the request from top to bottom and leave the bench working whatever happens; only a migration that failed
	keeps things down, and is gone on with from there when a person says so.

	Sets down its report in the journal, and returns whether workers with a job are still to be replaced. Raises
	RestartError where it was refused, timed out, was cancelled or failed; before anything was stopped that means that all is
	as before, from then on that everything was started again.
	"""
	names = steps_of(run.strategy, run.options.migrate)
	if resume_at := run.request.state.get("resume_at"):
		pick_up(run)
		names = names[names.index(resume_at) :]
		if run.options.allow_running_jobs and "migrate" in names:
			names = (
				"suspend",
				"drain",
				"halt",
				*names,
			)  # workers that were left with a job may take others by now
	status = journals.FAILED
	try:
		run_steps(run, names)
		status = journals.COMPLETED
	finally:
		run.lease.release()
		end_probe(run)
		after_hooks(run, status)
	return finish(run)


def finish(run: Run) -> bool:
	"""Set down the report; while workers with a job are still old, or not back yet, that is not the end. Returns whether
	they are."""
	is_unfinished = bool(run.stragglers or run.returning.pending)
	name_stragglers(run)
	set_down(run, journals.WATCHING if is_unfinished else journals.COMPLETED)
	return is_unfinished


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
		until = time.monotonic() + run.options.hold_seconds
		count(run)
		clock = time.strftime("%H:%M:%S UTC", time.gmtime(time.time() + run.options.hold_seconds))
		outcome = f"Drained: no job runs, new ones wait. Held until {clock}, or until `safe-restart resume`."
		run.report(journals.WATCHING, COMPLETED, outcome)
		with run.step("hold") as detail:
			while time.monotonic() < until and not run.is_asked_to_stop:
				if run.lease.holder != run.retirement.flag:
					drain_again(run)
				time.sleep(LOOK_SECONDS)
			detail.append("resumed" if time.monotonic() < until else "the time was over")
	finally:
		run.lease.release()
	run.report(journals.COMPLETED, run.account.exit_code, "Workers take jobs again.")


def drain_again(run: Run) -> None:
	"""The hold of another bench ended and ours took its place; a worker that looked in between would take one more job."""
	with suppress(RestartError, RedisError, OSError):  # the hold goes on all the same
		run.retirement.take_flag()
		drain_workers(run, [])


def leave(run: Run) -> None:
	"""Let the workers of this host leave, each when it holds no job; the helper does not stay, as its container ends too."""
	try:
		run_steps(run, run.strategy.steps)
	finally:
		run.lease.release()
	busy = sum(told.was_busy for told in run.retirement.told.values())
	outcome = f"{many(len(run.retirement.told), 'worker')} of this host told to leave"
	run.report(
		journals.COMPLETED,
		COMPLETED,
		f"{outcome}, {busy} of them after their job." if busy else f"{outcome}.",
	)


def run_steps(run: Run, names: tuple[str, ...]) -> None:
	for name in names:
		run.check_cancelled()
		with run.step(name) as detail:
			STEPS[name](run, detail)


def suspend(run: Run, detail: list[str]) -> None:
	"""Take the lease, so that no worker takes a new job."""
	if not (run.options.touches_workers and run.redis_is_up):
		detail.append("not needed")
		return
	run.retirement.take_flag()
	if run.lease.foreign:
		who, mend = describe(run.lease.foreign, run.bench.bench_id)
		run.note(f"the queues were suspended already, {who}: that is left as it is ({mend})")
	detail.append("workers take no new job")
	if run.strategy.name in STRATEGIES:
		found = rescue.rescue_earlier(run.watch, run.options.interrupted, run.signature, run.note)
		run.rescued.add(found)
		detail += [f"{many(len(found.lost_and_found), 'job')} found, interrupted earlier"] * bool(
			found.lost_and_found
		)


def drain_workers(run: Run, detail: list[str]) -> None:
	"""Finish first: wait until nothing runs. Otherwise: tell each worker that can go to go, and ask the busy ones."""
	if not run.options.touches_workers:
		detail.append("no worker is touched")
	elif not run.redis_is_up:
		detail.append("not possible: Redis is down")
	elif run.strategy.busy == FINISH_FIRST or run.options.migrate:
		prove_return(run)
		with waking(run.bench, run.retirement) as wake:
			drain(
				run.retirement,
				run.options.wait_workers_timeout,
				lambda fleet, undrained: note_progress(run, undrained),
				wake,
				leaves_busy=run.strategy.busy != FINISH_FIRST,
			)
		is_all = run.strategy.busy == FINISH_FIRST
		detail.append("nothing runs, seen twice" if is_all else "no worker takes a new job, seen twice")
	else:
		prove_return(run)
		run.can_be_cancelled = False
		tell(run, next_batch(run, run.watch.see()))
		busy = sum(one.was_busy for one in run.retirement.told.values())
		detail.append(f"{many(len(run.retirement.told) - busy, 'worker')} can go now, {busy} after their job")


def leave_host(run: Run, detail: list[str]) -> None:
	"""Tell the workers of this host to go, and whoever shares their address."""
	run.can_be_cancelled = False
	places = {unit.place for unit in run.untold() if any(map(processes.is_local, unit.workers))}
	tell(run, {unit.name for unit in run.untold() if unit.place in places})
	detail.append(f"{many(len(run.retirement.told), 'worker')} told to go")


def note_progress(run: Run, undrained: Undrained) -> None:
	if undrained.busy:
		jobs = ", ".join(f"{job or 'a job'} on pid {worker.pid}" for worker, job in undrained.busy)
		run.note(f"waiting for {len(undrained.busy)}: {jobs}")
	elif undrained.unproven:
		run.note(f"waking {len(undrained.unproven)} idle workers")
	else:
		run.note("no worker can take a job")


def stop(run: Run, detail: list[str]) -> None:
	"""From here on it goes forward only. Finish first: every worker leaves. Otherwise: the grace ends."""
	if run.strategy.busy == FINISH_FIRST:
		run.can_be_cancelled = False
		begin_services(run)
		if WORKERS in run.options.only:
			prove_return(run)
			tell(run, {unit.name for unit in run.untold()})
			wait_gone(run)
			detail.append(f"{many(len(run.retirement.told), 'worker')} left")
	else:
		killed = interrupt(run)
		detail.append(
			f"{many(killed, 'worker')} killed with a job" if killed else "no job had to be interrupted"
		)
	if REDIS in run.options.only:
		restart_redis(run)
		detail.append("Redis is new")
	if run.strategy.busy != FINISH_FIRST:
		wait_back(run)
		wait_for_web(run)


def replace(run: Run, detail: list[str]) -> None:
	"""Everything that can be new by now becomes new: web, scheduler, socketio and the workers without a job."""
	run.can_be_cancelled = False
	begin_services(run)
	wait_back(run)
	if not run.strategy.interrupts:  # or jobs would have their grace and the web's boot
		wait_for_web(run)
	workers = sum(told.is_gone for told in run.retirement.told.values())
	kinds = [service.kind for service in run.manager.services() if service.kind != WORKERS]
	others = [kind for kind in run.options.only if kind in kinds]
	detail.append(
		", ".join(others + [f"{workers} of {len(run.retirement.told)} workers programs"] * bool(workers))
	)


def wait_for_web(run: Run) -> None:
	"""Until it answers again, and so measure how long it was away."""
	if run.probe:
		run.probe.wait_until_ok(START_TIMEOUT_SECONDS)
		end_probe(run)


def follow(run: Run, detail: list[str]) -> None:
	"""Wait for workers with a job to be replaced: within the timeout, or, once the call returned, to the end."""
	seconds = float("inf") if run.is_watching else run.options.wait_workers_timeout
	deadline = time.monotonic() + seconds
	while True:
		stragglers = run.stragglers  # asked first: one that leaves from here on is then seen to be away
		away = advance(run)
		if not (away or stragglers) or time.monotonic() > deadline or is_stuck(run):
			break
		if run.is_watching and is_superseded(run):
			break
		time.sleep(CALM_LOOK_SECONDS if run.is_watching and not away else LOOK_SECONDS)
	left = len(run.stragglers)
	detail.append(f"{many(left, 'worker')} still in a job on old code" if left else "every worker is new")


def is_stuck(run: Run) -> bool:
	"""New workers do not stay up, so those that were kept for them are better left serving with their old code."""
	return bool(run.account.problems) and all(told.how == KEPT for told in run.stragglers)


def is_superseded(run: Run) -> bool:
	still_open = run.journal.open_requests()  # the oldest first
	ids = [request.id for request in still_open]
	return run.request.id not in ids or any(
		other.started_at for other in still_open[ids.index(run.request.id) + 1 :]
	)


def rescue_jobs(run: Run, detail: list[str]) -> None:
	"""Find every interrupted or lost job and run it again."""
	if not run.redis_is_up and not queues.is_up(run.watch.observer.redis):
		detail.append("not possible: Redis is down")
		return
	done = run.patiently(lambda: rescue.rescue(run.watch, run.options.interrupted, run.signature, run.note))
	run.rescued.add(done)
	found = len(done.requeued) + len(done.held) + len(done.failed)
	detail.append(f"{many(found, 'job')} found" if found else "nothing was interrupted or lost")
	for job_id in done.still_running:
		run.warn(f"job {job_id} still runs in a process without a worker, on old code")


def resume(run: Run, detail: list[str]) -> None:
	"""Give the lease back: workers take jobs again."""
	if not run.lease.is_held:
		detail.append("not needed")
		return
	run.lease.release()
	detail.append("left suspended, as it was found" if run.lease.foreign else "workers take jobs")


def set_down(run: Run, status: str) -> None:
	if run.account.problems:
		status = journals.FAILED
	run.report(status, run.account.exit_code, run.account.outcome)


STEPS = {
	"preflight": preflight,
	"before-hooks": before_hooks,
	"suspend": suspend,
	"drain": drain_workers,
	"hand-over": hand_over,
	"maintenance": maintenance_on,
	"stop": stop,
	"halt": halt,
	"migrate": migrate,
	"start": start_again,
	"restore": restore,
	"replace": replace,
	"follow": follow,
	"leave": leave_host,
	"rescue": rescue_jobs,
	"resume": resume,
	"verify": verify,
}
