"""Interrupted and lost jobs: found, and run again, held or failed, each exactly once.

A job is *interrupted* when its status is `started` and its worker is dead. It is *lost* when its status is `queued` and
it stands in no queue, because its worker was stopped between the pop and the start, or after it moved the job to
`:intermediate`.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, fields

import psutil
from redis import Redis
from redis.exceptions import ResponseError

from ..core.bench import Bench
from ..core.text import pluralize
from ..core.waiting import wait_until
from ..rq import keys
from ..rq.snapshot import Job
from ..workers.fleet import Fleet, FleetReader
from ..workers.orphans import find_orphans
from ..workers.stale_registrations import remove_stale_registrations
from . import retry_policy
from .actions import DELAY, FAIL, HOLD, REQUEUE
from .settle import ACTED, Settler, ordinal

SCAN_COUNT = 5000
CONFIRM_SECONDS = 5
HORSE_START_SECONDS = 5  # a work-horse is forked right before its job gets the status `started`


@dataclass
class Rescued:
	"""What became of the jobs that were found, as lists of job ids.

	requeued: in a queue again
	delayed: run again when their pause is over
	lost_and_found: those of the jobs in the other lists that this restart did not interrupt
	still_running: run by a work-horse whose worker is dead; they are left to finish
	"""

	requeued: list[str] = field(default_factory=list)
	delayed: list[str] = field(default_factory=list)
	held: list[str] = field(default_factory=list)
	failed: list[str] = field(default_factory=list)
	lost_and_found: list[str] = field(default_factory=list)
	still_running: list[str] = field(default_factory=list)

	def add(self, other: "Rescued") -> None:
		"""Append each list of another one to its own."""
		for one in fields(self):
			getattr(self, one.name).extend(getattr(other, one.name))

	@property
	def all_found(self) -> list[str]:
		return self.requeued + self.delayed + self.held + self.failed

	@property
	def interrupted(self) -> int:
		return len(self.all_found) - len(self.lost_and_found)


def rescue(fleet_reader: FleetReader, asked: str, who: str, note: Callable[[str], None]) -> Rescued:
	"""Find every interrupted and lost job of the bench and settle each. Raises RedisError.

	A lost job has not run at all, so it is always queued again.
	asked: requeue, hold or fail, for jobs that had started; retry_policy.py may decide otherwise
	who: the name that `safe-restart jobs` shows beside the reason
	"""
	settler = Settler(fleet_reader.bench, fleet_reader.redis, who)
	fleet = fleet_reader.read()
	suspects = find_suspects(fleet_reader.bench, fleet_reader.redis, fleet)
	interrupted = find_interrupted(fleet) + confirm_interrupted(fleet_reader, suspects.started)
	done = settle_interrupted(fleet_reader, settler, interrupted, asked, note)
	for job_id in confirm_lost(fleet_reader, suspects.queued, note):
		if settler.settle(job_id, "queued", REQUEUE, "lost between queue and worker", None) == "done":
			done.lost_and_found.append(job_id)
			done.requeued.append(job_id)
			note(f"{job_id}, lost between queue and worker, {ACTED[REQUEUE]}")
	remove_stale_registrations(fleet_reader, fleet)
	return done


def rescue_earlier(fleet_reader: FleetReader, asked: str, who: str, note: Callable[[str], None]) -> Rescued:
	"""Settle what was interrupted before this restart, while the bench still has its old workers. Raises RedisError.

	A new worker begins with RQ's maintenance, which marks started jobs of dead workers as failed after 90 s (FACTS 1.7).
	The parameters are those of `rescue`.
	"""
	settler = Settler(fleet_reader.bench, fleet_reader.redis, who)
	done = settle_interrupted(fleet_reader, settler, find_interrupted(fleet_reader.read()), asked, note)
	done.lost_and_found = done.all_found
	return done


def settle_interrupted(
	fleet_reader: FleetReader, settler: Settler, jobs: list[Job], asked: str, note: Callable[[str], None]
) -> Rescued:
	"""Decide about each of these jobs, except for those that a work-horse still runs whose worker is dead."""
	done = Rescued()
	by_action = {REQUEUE: done.requeued, DELAY: done.delayed, HOLD: done.held, FAIL: done.failed}
	rules = retry_policy.of_bench(fleet_reader.bench)
	orphans = find_orphans(fleet_reader) if jobs else []
	for job in jobs:
		if horse := orphan_of(job, orphans):
			done.still_running.append(job.id)
			note(
				f"{job} is still run by process {horse.pid}, whose worker is dead; the job is left to finish"
			)
			continue
		times = job.attempts + 1
		action, delay = rules.decide(job.method, times, asked)
		why = f"interrupted for the {ordinal(times)} time"
		if settler.settle(job.id, job.status, action, why, times, delay) == "done":
			by_action[action].append(job.id)
			note(f"{job} ({job.id}), {why}, {ACTED[action]}{f' of {delay:.0f} s' if delay else ''}")
	return done


def orphan_of(job: Job, orphans: Iterable[psutil.Process]) -> psutil.Process | None:
	"""The orphan that may be running this job: one that started when the job did."""
	for process in orphans:
		with suppress(psutil.Error):
			if not job.started_at:
				return process
			if abs(process.create_time() - job.started_at.timestamp()) < HORSE_START_SECONDS:
				return process
	return None


def find_interrupted(fleet: Fleet) -> list[Job]:
	"""Find the started jobs that no live worker runs, among those in the snapshot."""
	return unclaimed(fleet.snapshot.jobs.values(), fleet)


def unclaimed(jobs: Iterable[Job], fleet: Fleet) -> list[Job]:
	"""Those of the jobs that have started and that no live worker runs."""
	alive = {worker.name for worker in fleet.workers}
	in_hand = {worker.job_id for worker in fleet.workers}
	return [
		job for job in jobs if job.status == "started" and job.id not in in_hand and job.worker not in alive
	]


@dataclass
class Suspects:
	"""Ids of jobs whose status is queued or started, and which are not where such a job belongs."""

	queued: set[str] = field(default_factory=set)
	started: set[str] = field(default_factory=set)


def find_suspects(bench: Bench, redis: Redis, fleet: Fleet) -> Suspects:
	"""Find the jobs whose status is queued and which are in no queue, or started and which are in no registry.

	This is one pass over the hashes of all jobs, so what it finds has to be confirmed: jobs come and go while it runs.
	From rq 2 on a worker writes a job into the registry before the work-horse sets its status to started
	(Worker.prepare_execution), so a queued job in the registry may be lost as well.
	"""
	known = set(map(keys.job_key, fleet.snapshot.jobs))
	for queue in fleet.snapshot.queues:
		known.update(map(keys.job_key, redis.lrange(keys.queue_key(queue.name), 0, -1)))
	suspects = Suspects(queued={job.id for job in fleet.snapshot.jobs.values() if job.status == "queued"})
	by_status = {"queued": suspects.queued, "started": suspects.started}
	cursor = None
	while cursor != 0:
		cursor, found = redis.scan(cursor or 0, match=f"{keys.JOB_PREFIX}*", count=SCAN_COUNT)
		job_keys = [key for key in found if key not in known]
		with redis.pipeline(transaction=False) as pipe:
			for key in job_keys:
				pipe.hmget(key, "status", "origin")
			# A key of another type beside them answers with an error; SCAN … TYPE is Redis 6.0's.
			for key, answer in zip(job_keys, pipe.execute(raise_on_error=False)):
				status, origin = answer if isinstance(answer, list) else (None, None)
				if status in by_status and (origin or "").startswith(bench.queue_prefix):
					by_status[status].add(key.removeprefix(keys.JOB_PREFIX))
	return suspects


def confirm_interrupted(fleet_reader: FleetReader, suspects: set[str]) -> list[Job]:
	"""Those of the started suspects that no live worker runs, by a snapshot that is younger than the search for them."""
	if not suspects:
		return []
	jobs = fleet_reader.rq_reader.jobs(suspects)
	fleet = fleet_reader.read()
	return [job for job in unclaimed(jobs, fleet) if job.id not in fleet.snapshot.jobs]


def confirm_lost(fleet_reader: FleetReader, suspects: set[str], note: Callable[[str], None]) -> set[str]:
	"""Those of the queued suspects that no live worker and no orphaned work-horse can have popped.

	Suspects that stand in their queue after all are dropped first: they came in while the search ran. A worker that has
	one of the others has popped it already. So a worker is cleared once it waits in Redis, is suspended, or is in another
	job from here on. The script that settles a job checks it once more.
	"""
	suspects = {id for id in suspects if not is_waiting(fleet_reader.redis, id)}
	if not suspects:
		return set()
	if orphans := find_orphans(fleet_reader):
		note(
			f"{pluralize(len(suspects), 'job')} may be lost, or run by process {orphans[0].pid}; nothing is done before that "
			"process has ended"
		)
		return set()
	cleared: set[str] = set()

	def is_every_worker_cleared() -> bool:
		fleet = fleet_reader.read()
		waiting = fleet_reader.waiting({w.name: w.pid for w in fleet.workers if not w.is_busy})
		suspects.difference_update(worker.job_id for worker in fleet.workers if worker.job_id)
		for worker in fleet.workers:
			if worker.name in waiting or worker.is_suspended or (worker.is_busy and worker.job_id):
				cleared.add(worker.name)
		return all(worker.name in cleared for worker in fleet.workers)

	if wait_until(is_every_worker_cleared, CONFIRM_SECONDS):
		return suspects
	note(
		f"{pluralize(len(suspects), 'job')} in no queue could not be proved lost; the next restart checks again"
	)
	return set()


def is_waiting(redis: Redis, job_id: str) -> bool:
	"""Whether a job stands in its queue, or is gone by now."""
	origin = redis.hget(keys.job_key(job_id), "origin")
	if origin is None:
		return True
	try:
		return redis.lpos(keys.queue_key(origin), job_id) is not None
	except ResponseError:  # Redis has LPOS from 6.0.6 on
		return job_id in redis.lrange(keys.queue_key(origin), 0, -1)
