"""Interrupted and lost jobs: found, and run again, held or failed, each exactly once.

A job is *interrupted* when it is started and its worker is dead; it is *lost* when it is queued but stands in no list,
because its worker was stopped between the pop and the start, or after it moved the job to `:intermediate`.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields

from redis import Redis
from redis.exceptions import ResponseError

from ..core.bench import Bench
from ..core.waiting import LOOK_INTERVAL_SECONDS
from ..rq import keys
from ..rq.snapshot import Job
from ..workers.fleet import Fleet, FleetReader
from ..workers.orphans import find_orphans, orphan_of
from . import retry_policy
from .actions import DELAY, FAIL, HOLD, REQUEUE
from .settle import ACTED, Settler, ordinal

SCAN_COUNT = 5000
CONFIRM_SECONDS = 5


@dataclass
class Rescued:
	"""What became of the jobs that were found; lists of job ids.

	requeued: in a queue again
	delayed: run again after their pause
	lost_and_found: those of all of them that this restart did not interrupt
	still_running: by a work-horse whose worker is dead; they are left to finish
	"""

	requeued: list[str] = field(default_factory=list)
	delayed: list[str] = field(default_factory=list)
	held: list[str] = field(default_factory=list)
	failed: list[str] = field(default_factory=list)
	lost_and_found: list[str] = field(default_factory=list)
	still_running: list[str] = field(default_factory=list)

	def add(self, other: "Rescued") -> None:
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

	asked: requeue, hold or fail, for jobs that had started; see retry_policy.py for what else has a say. A lost job has not
	run at all, so it is always queued again. who: whom `jobs` names beside the reason.
	"""
	settler = Settler(fleet_reader.bench, fleet_reader.rq_reader.redis, who)
	fleet = fleet_reader.read()
	suspects = find_suspects(fleet_reader.bench, fleet_reader.rq_reader.redis, fleet)
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
	"""Settle what was interrupted before this restart, while its workers are still the old ones: a new one begins with
	RQ's maintenance, which makes started jobs of dead workers failed ones after 90 s (FACTS 1.7). Raises RedisError."""
	settler = Settler(fleet_reader.bench, fleet_reader.rq_reader.redis, who)
	done = settle_interrupted(fleet_reader, settler, find_interrupted(fleet_reader.read()), asked, note)
	done.lost_and_found = done.all_found
	return done


def settle_interrupted(
	fleet_reader: FleetReader, settler: Settler, jobs: Iterable[Job], asked: str, note: Callable[[str], None]
) -> Rescued:
	"""Decide about each of these jobs, but for those that are still run by a work-horse without a worker."""
	done = Rescued()
	rules = retry_policy.of_bench(fleet_reader.bench)
	orphans = find_orphans(fleet_reader) if jobs else []
	for job in jobs:
		if horse := orphan_of(job, orphans):
			done.still_running.append(job.id)
			note(f"{job} is still run by process {horse.pid}, whose worker is dead; it is left to finish")
			continue
		times = job.attempts + 1
		action, delay = rules.decide(job.method, times, asked)
		why = f"interrupted for the {ordinal(times)} time"
		if settler.settle(job.id, job.status, action, why, times, delay) == "done":
			by_action = {REQUEUE: done.requeued, DELAY: done.delayed, HOLD: done.held, FAIL: done.failed}
			by_action[action].append(job.id)
			note(f"{job} ({job.id}), {why}, {ACTED[action]}{f' of {delay:.0f} s' if delay else ''}")
	return done


def find_interrupted(fleet: Fleet) -> list[Job]:
	"""Started jobs of which no live worker says that it runs them."""
	return unclaimed(fleet.snapshot.jobs.values(), fleet)


def unclaimed(jobs: Iterable[Job], fleet: Fleet) -> list[Job]:
	alive = {worker.name for worker in fleet.workers}
	in_hand = {worker.job_id for worker in fleet.workers}
	return [
		job for job in jobs if job.status == "started" and job.id not in in_hand and job.worker not in alive
	]


@dataclass
class Suspects:
	"""Ids of jobs whose hash says queued or started, and which stand where such a job does not belong."""

	queued: set[str] = field(default_factory=set)
	started: set[str] = field(default_factory=set)


def find_suspects(bench: Bench, redis: Redis, fleet: Fleet) -> Suspects:
	"""Jobs that say queued and stand in no queue, or say started and stand in no registry.

	One pass over all job hashes, so what it finds has to be confirmed: jobs come and go while it runs. From rq 2 on a worker
	writes a job into the registry before its work-horse says started (Worker.prepare_execution), so one that stands there
	may be lost as well.
	"""
	known = {f"rq:job:{id}" for id in fleet.snapshot.jobs}
	for queue in fleet.snapshot.queues:
		known.update(f"rq:job:{id}" for id in redis.lrange(keys.queue_key(queue.name), 0, -1))
	suspects = Suspects(queued={job.id for job in fleet.snapshot.jobs.values() if job.status == "queued"})
	by_status = {"queued": suspects.queued, "started": suspects.started}
	cursor = None
	while cursor != 0:
		cursor, found = redis.scan(cursor or 0, match="rq:job:*", count=SCAN_COUNT)
		job_keys = [key for key in found if key not in known]
		with redis.pipeline(transaction=False) as pipe:
			for key in job_keys:
				pipe.hmget(key, "status", "origin")
			# A key of another type beside them answers with an error; SCAN … TYPE is Redis 6.0's.
			for key, answer in zip(job_keys, pipe.execute(raise_on_error=False)):
				status, origin = answer if isinstance(answer, list) else (None, None)
				if status in by_status and (origin or "").startswith(bench.queue_prefix):
					by_status[status].add(key.removeprefix("rq:job:"))
	return suspects


def confirm_interrupted(fleet_reader: FleetReader, suspects: set[str]) -> list[Job]:
	"""Those of the started suspects that no live worker has, by a look that came after they were found."""
	if not suspects:
		return []
	jobs = fleet_reader.rq_reader.jobs(suspects)
	fleet = fleet_reader.read()
	return [job for job in unclaimed(jobs, fleet) if job.id not in fleet.snapshot.jobs]


def confirm_lost(fleet_reader: FleetReader, suspects: set[str], note: Callable[[str], None]) -> set[str]:
	"""Those suspects that no live worker can have in its hands, and no work-horse that has lost its worker.

	First those that stand in their queue after all are dropped: they came in while the pass ran. Whoever has one of
	the rest in its hands has popped it already, so a worker is cleared once it is seen waiting in Redis, suspended,
	or in another job from here on. The script that settles them looks at each again.
	"""
	suspects = {id for id in suspects if not is_waiting(fleet_reader.rq_reader.redis, id)}
	if not suspects:
		return set()
	if orphans := find_orphans(fleet_reader):
		note(
			f"{len(suspects)} jobs may be lost, or be run by process {orphans[0].pid}; they are left until that has ended"
		)
		return set()
	cleared: set[str] = set()
	deadline = time.monotonic() + CONFIRM_SECONDS
	while True:
		fleet = fleet_reader.read()
		waiting = fleet_reader.waiting({w.name: w.pid for w in fleet.workers if not w.is_busy})
		for worker in fleet.workers:
			suspects.discard(worker.job_id)
			if worker.name in waiting or worker.is_suspended or (worker.is_busy and worker.job_id):
				cleared.add(worker.name)
		if all(worker.name in cleared for worker in fleet.workers):
			return suspects
		if time.monotonic() > deadline:
			note(
				f"{len(suspects)} jobs stand in no queue and could not be proved lost; the next restart looks again"
			)
			return set()
		time.sleep(LOOK_INTERVAL_SECONDS)


def is_waiting(redis: Redis, job_id: str) -> bool:
	origin = redis.hget(f"rq:job:{job_id}", "origin")
	if origin is None:
		return True
	try:
		return redis.lpos(keys.queue_key(origin), job_id) is not None
	except ResponseError:  # Redis has LPOS from 6.0.6 on
		return job_id in redis.lrange(keys.queue_key(origin), 0, -1)


def remove_stale_registrations(fleet_reader: FleetReader, fleet: Fleet) -> None:
	"""Remove the registrations of workers without a process, which RQ would list for minutes (FACTS 1.10)."""
	with fleet_reader.rq_reader.redis.pipeline() as pipe:
		for worker in fleet.stale:
			key = f"rq:worker:{worker.name}"
			pipe.srem("rq:workers", key)
			for queue in worker.queues or [queue.name for queue in fleet.snapshot.queues]:
				pipe.srem(f"rq:workers:{queue}", key)
			pipe.delete(key)
		pipe.execute()
