"""Interrupted and lost jobs: found, and run again, held or failed, each exactly once.

A job is *interrupted* when it is started and its worker is dead; it is *lost* when it is queued but stands in no list,
because its worker was stopped between the pop and the start, or after it moved the job to `:intermediate`.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import psutil
from redis import Redis

from . import processes, queues
from .bench import Bench
from .fleet import Fleet, Watch
from .journal import utc_now
from .managers import WORKERS, kind_of
from .queues import Job
from .strategies import FAIL, HOLD, REQUEUE

MAX_ATTEMPTS = 3
SCAN_COUNT = 5000
CONFIRM_SECONDS = 5
LOOK_SECONDS = 0.02
# A horse is forked right before its job is marked as started.
HORSE_START_SECONDS = 5


@dataclass
class Rescued:
	"""What became of the jobs that were found; lists of job ids."""

	requeued: list[str] = field(default_factory=list)
	held: list[str] = field(default_factory=list)
	failed: list[str] = field(default_factory=list)
	lost_and_found: list[str] = field(default_factory=list)
	still_running: list[str] = field(default_factory=list)

	@property
	def interrupted(self) -> int:
		return len(self.requeued) + len(self.held) + len(self.failed) - len(self.lost_and_found)


def held_key(bench: Bench) -> str:
	return f"safe-restart:held:{bench.bench_id}"


def rescue(watch: Watch, interrupted_action: str, note: Callable[[str], None]) -> Rescued:
	"""Find every interrupted and lost job of the bench and settle each. Raises RedisError.

	interrupted_action: requeue, hold or fail, for jobs that had started. After MAX_ATTEMPTS interruptions a job is
	held whatever was asked. A lost job has not run at all, so it is always queued again.
	"""
	done = Rescued()
	settle = queues.script(watch.observer.redis, "settle")

	def act(job_id: str, status: str, action: str, why: str) -> bool:
		args = [job_id, status, action, why, utc_now(), held_key(watch.bench)]
		answer = settle(args=args)
		if answer == "done":
			note(f"{why}: {job_id} was {ACTED[action]}")
		return answer == "done"

	fleet = watch.see()
	interrupted = find_interrupted(fleet)
	orphans = find_orphans(watch) if interrupted else []
	for job in interrupted:
		if horse := orphan_of(job, orphans):
			done.still_running.append(job.id)
			note(f"{job} is still run by process {horse.pid}, whose worker is dead; it is left to finish")
			continue
		is_spent = job.attempts + 1 >= MAX_ATTEMPTS
		action = HOLD if is_spent and interrupted_action == REQUEUE else interrupted_action
		why = f"interrupted for the {ordinal(job.attempts + 1)} time" if job.attempts else "interrupted"
		if act(job.id, job.status, action, why):
			{REQUEUE: done.requeued, HOLD: done.held, FAIL: done.failed}[action].append(job.id)
	for job_id in confirm_lost(watch, find_lost(watch.bench, watch.observer.redis, fleet)):
		if act(job_id, "queued", REQUEUE, "lost between queue and worker"):
			done.lost_and_found.append(job_id)
			done.requeued.append(job_id)
	forget_dead(watch, fleet)
	return done


ACTED = {
	REQUEUE: "put back at the front of its queue",
	HOLD: "held for a person to decide",
	FAIL: "marked as failed",
}


def ordinal(number: int) -> str:
	return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


def find_interrupted(fleet: Fleet) -> list[Job]:
	"""Started jobs of which no live worker says that it runs them."""
	alive = {worker.name for worker in fleet.workers}
	in_hand = {worker.job_id for worker in fleet.workers}
	return [
		job
		for job in fleet.look.jobs.values()
		if job.status == "started" and job.id not in in_hand and job.worker not in alive
	]


def find_lost(bench: Bench, redis: Redis, fleet: Fleet) -> set[str]:
	"""Jobs that say queued and stand in no queue, as far as one pass can tell; see confirm_lost."""
	waiting: set[str] = set()
	for queue in fleet.look.queues:
		waiting.update(redis.lrange(queues.queue_key(queue.name), 0, -1))
	known = {f"rq:job:{id}" for id in waiting}
	lost: set[str] = set()
	cursor = None
	while cursor != 0:
		cursor, keys = redis.scan(cursor or 0, match="rq:job:*", count=SCAN_COUNT, _type="hash")
		keys = [key for key in keys if key not in known]
		if keys:
			with redis.pipeline(transaction=False) as pipe:
				for key in keys:
					pipe.hmget(key, "status", "origin")
				answers = pipe.execute()
			lost.update(
				key.removeprefix("rq:job:")
				for key, (status, origin) in zip(keys, answers)
				if status == "queued" and (origin or "").startswith(bench.queue_prefix)
			)
	return lost


def confirm_lost(watch: Watch, suspects: set[str]) -> set[str]:
	"""Those suspects that no live worker can have in its hands.

	First those that stand in their queue after all are dropped: they came in while the pass ran. Whoever has one of
	the rest in its hands has popped it already, so a worker is cleared once it is seen waiting in Redis, suspended,
	or in another job from here on. The script that settles them looks at each again.
	"""
	suspects = {id for id in suspects if not is_waiting(watch.observer.redis, id)}
	if not suspects:
		return set()
	cleared: set[str] = set()
	deadline = time.monotonic() + CONFIRM_SECONDS
	while True:
		fleet = watch.see()
		waiting = watch.blocked(worker.pid for worker in fleet.workers if not worker.is_busy)
		for worker in fleet.workers:
			suspects.discard(worker.job_id)
			if worker.pid in waiting or worker.is_suspended or (worker.is_busy and worker.job_id):
				cleared.add(worker.name)
		if all(worker.name in cleared for worker in fleet.workers):
			return suspects
		if time.monotonic() > deadline:
			return set()  # no proof, so nothing is run twice; the next rescue looks again
		time.sleep(LOOK_SECONDS)


def is_waiting(redis: Redis, job_id: str) -> bool:
	origin = redis.hget(f"rq:job:{job_id}", "origin")
	return origin is None or redis.lpos(queues.queue_key(origin), job_id) is not None


def forget_dead(watch: Watch, fleet: Fleet) -> None:
	"""Remove the registrations of workers without a process, which RQ would list for minutes (FACTS 1.10)."""
	with watch.observer.redis.pipeline() as pipe:
		for worker in fleet.dead:
			key = f"rq:worker:{worker.name}"
			pipe.srem("rq:workers", key)
			for queue in worker.queues or [queue.name for queue in fleet.look.queues]:
				pipe.srem(f"rq:workers:{queue}", key)
			pipe.delete(key)
		pipe.execute()


def find_orphans(watch: Watch) -> list[psutil.Process]:
	"""Work-horses whose worker is gone: they look like a worker of this bench and no manager keeps them."""
	services = watch.manager.services()
	kept = {service.pid for service in services if service.pid}
	commands = [service.command for service in services if service.kind == WORKERS]
	orphans = []
	for process in processes.inside(watch.bench.path):
		with suppress(psutil.Error):
			command = process.cmdline()
			looks_alike = kind_of(" ".join(command)) == WORKERS or command[:1] == ["rq:"]
			if commands and looks_alike and not kept & set(processes.ancestors(process)):
				orphans.append(process)
	return orphans


def orphan_of(job: Job, orphans: Iterable[psutil.Process]) -> psutil.Process | None:
	"""The orphan that may be running this job: it was forked when the job started."""
	for process in orphans:
		with suppress(psutil.Error):
			if not job.started_at:
				return process
			if abs(process.create_time() - job.started_at.timestamp()) < HORSE_START_SECONDS:
				return process
	return None
