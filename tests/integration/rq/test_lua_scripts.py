"""The scripts that run inside Redis keep their promises after any sequence of calls, by whomever."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
	RuleBasedStateMachine,
	initialize,
	invariant,
	precondition,
	rule,
	run_state_machine_as_test,
)
from redis import Redis
from rq import VERSION, Queue, suspension
from rq.job import Job
from rq.registry import DeferredJobRegistry, FailedJobRegistry, ScheduledJobRegistry

from safe_restart.demo.parts import die_with_parent, free_port, redis_server
from safe_restart.engine.core.bench import Bench
from safe_restart.engine.core.errors import Refused
from safe_restart.engine.jobs import held, settle
from safe_restart.engine.jobs.actions import DELAY, FAIL, HOLD, REQUEUE
from safe_restart.engine.rq import connection, keys, snapshot
from safe_restart.engine.rq.suspension import LEASE_SECONDS, TOKEN_PREFIX
from tests.support.waiting import wait_for

pytestmark = pytest.mark.engine

LATER_SECONDS = 1000


@pytest.fixture(scope="module")
def bench():
	"""A bench with a Redis alone: no worker takes what stands in its queues."""
	folder, port = tempfile.mkdtemp(prefix="safe-restart-redis-"), free_port()
	server = subprocess.Popen(
		[redis_server(), "--bind", "127.0.0.1", "--port", str(port), "--dir", folder, "--save", ""],
		stdout=subprocess.DEVNULL,
		preexec_fn=die_with_parent,
	)
	bench = Bench(Path(folder), {"bench_id": "b", "redis_queue": f"redis://127.0.0.1:{port}"})
	try:
		wait_for(lambda: connection.is_up(connection.connect(bench)), "Redis is up")
		yield bench
	finally:
		server.kill()
		server.wait()
		shutil.rmtree(folder)


def run(machine: type[RuleBasedStateMachine], bench: Bench, examples: int) -> None:
	settled = settings(max_examples=examples, stateful_step_count=30)
	run_state_machine_as_test(lambda: machine(bench), settings=settled)


class Suspensions(RuleBasedStateMachine):
	"""Two helpers of one bench, one of a bench with a longer name, and people who use RQ's own commands."""

	owners = st.sampled_from([f"{TOKEN_PREFIX}b:r1", f"{TOKEN_PREFIX}b:r2", f"{TOKEN_PREFIX}b2:r1"])

	def __init__(self, bench: Bench):
		super().__init__()
		self.redis = connection.connect(bench)
		self.redis.flushall()
		self.scripts = {name: connection.script(self.redis, name) for name in ("take", "renew", "release")}
		self.holder: str | None = None

	def call(self, name: str, *args) -> str | int:
		return self.scripts[name](keys=[keys.SUSPENDED], args=args)

	@rule(owner=owners)
	def take(self, owner):
		prefix = owner.rpartition(":")[0] + ":"
		if self.holder is None or self.holder.startswith(prefix):
			self.holder = owner
		assert self.call("take", owner, LEASE_SECONDS * 1000, prefix) == self.holder

	@rule(owner=owners)
	def renew(self, owner):
		answer = self.call("renew", owner, LEASE_SECONDS * 1000)
		assert answer == {None: "retaken", owner: "held"}.get(self.holder, self.holder)
		self.holder = self.holder or owner

	@rule(owner=owners)
	def release(self, owner):
		assert self.call("release", owner) == (self.holder == owner)
		self.holder = None if self.holder == owner else self.holder

	@rule()
	def somebody_suspends(self):
		suspension.suspend(self.redis)
		self.holder = "1"

	@rule()
	def somebody_resumes(self):
		suspension.resume(self.redis)
		self.holder = None

	@precondition(lambda self: self.holder and self.holder != "1")
	@rule()
	def a_helper_dies(self):
		self.redis.pexpire(keys.SUSPENDED, 0)
		self.holder = None

	@invariant()
	def who_holds_it_is_known_and_ours_ends_by_itself(self):
		assert self.redis.get(keys.SUSPENDED) == self.holder
		if self.holder and self.holder.startswith(TOKEN_PREFIX):
			assert 0 < self.redis.pttl(keys.SUSPENDED) <= LEASE_SECONDS * 1000
		if self.holder == "1":
			assert self.redis.pttl(keys.SUSPENDED) == -1


def test_a_suspension_has_one_holder_and_only_that_one_gives_it_back(bench):
	run(Suspensions, bench, 30)


# Where a job can be, as RQ's keys are named, and the status that its hash then has
STATUS = {
	"queue": "queued",
	"intermediate": "queued",
	"lost": "queued",
	"wip": "started",
	"scheduled": "scheduled",
	"deferred": "deferred",
	"failed": "failed",
	"done": "finished",
}
ACTIONS = {REQUEUE: "queue", DELAY: "scheduled", HOLD: "deferred", FAIL: "failed"}
SET_ASIDE = ("scheduled", "deferred")
REGISTRIES = {
	"scheduled": ScheduledJobRegistry,
	"deferred": DeferredJobRegistry,
	"failed": FailedJobRegistry,
}


def with_a_job_in(*places: str):
	return precondition(lambda machine: machine.those_in(*places))


class Jobs(RuleBasedStateMachine):
	"""Three jobs, the id of one the beginning of the others', in the hands of helpers, workers, RQ and people."""

	ids = {"1": ("s::1", "s::12", "s::1:2"), "2": ("s||1", "s||12", "s||1|2")}.get(
		VERSION[0], ("s-1", "s-12", "s-1-2")
	)
	pick = st.integers(0, len(ids) - 1)
	actions = st.sampled_from(list(ACTIONS))

	def __init__(self, bench: Bench):
		super().__init__()
		self.bench, self.rq_reader = bench, snapshot.RqReader(bench)
		self.redis = self.rq_reader.redis
		self.redis.flushall()
		self.queue = Queue("b:default", connection=Redis.from_url(bench.redis_queue_url))
		self.settler = settle.Settler(bench, self.redis, "a machine")
		self.place = dict.fromkeys(self.ids, "queue")
		self.attempts = dict.fromkeys(self.ids, 0)
		self.due: set[str] = set()

	@initialize(
		ttls=st.tuples(*[st.sampled_from([None, 100, -1])] * 3), running=st.sets(st.sampled_from(ids))
	)
	def jobs_are_enqueued(self, ttls, running):
		self.ttls = dict(zip(self.ids, ttls))
		for id, ttl in self.ttls.items():
			self.queue.enqueue("time.sleep", 0, job_id=id, failure_ttl=ttl)
		for id in running:
			self.redis.lrem(self.queue.key, 0, id)
			self.start(id, "")

	def start(self, id: str, execution: str) -> None:
		self.redis.hset(f"rq:job:{id}", mapping={"status": "started", "worker_name": "w"})
		self.redis.zadd(f"rq:wip:{self.queue.name}", {id + execution: 1})
		self.put(id, "wip")

	def those_in(self, *places: str) -> list[str]:
		return [id for id in self.ids if self.place[id] in places]

	def one_in(self, pick: int, *places: str) -> str:
		found = self.those_in(*places)
		return found[pick % len(found)]

	def put(self, id: str, place: str) -> None:
		self.place[id] = place
		self.due.discard(id)

	@with_a_job_in("queue")
	@rule(pick=pick, place=st.sampled_from(["lost", "intermediate"]))
	def a_worker_pops(self, pick, place):
		id = self.one_in(pick, "queue")
		self.redis.lrem(self.queue.key, 0, id)
		if place == "intermediate":
			self.redis.lpush(f"{self.queue.key}:intermediate", id)
		self.put(id, place)

	@with_a_job_in("lost", "intermediate")
	@rule(pick=pick, execution=st.sampled_from(["", ":execution"]))
	def a_worker_starts_it(self, pick, execution):
		id = self.one_in(pick, "lost", "intermediate")
		self.redis.lrem(f"{self.queue.key}:intermediate", 0, id)
		self.start(id, execution)

	@with_a_job_in("wip")
	@rule(pick=pick)
	def it_ends(self, pick):
		id = self.one_in(pick, "wip")
		self.redis.zrem(f"rq:wip:{self.queue.name}", id, f"{id}:execution")
		self.redis.hset(f"rq:job:{id}", "status", "finished")
		self.put(id, "done")

	@with_a_job_in("wip")
	@rule(pick=pick, action=actions, is_due=st.booleans())
	def it_is_found_interrupted(self, pick, action, is_due):
		id = self.one_in(pick, "wip")
		self.attempts[id] += 1
		delay = 0 if is_due else LATER_SECONDS
		assert self.settler.settle(id, "started", action, "why", self.attempts[id], delay) == "done"
		self.put(id, ACTIONS[action])
		if action == DELAY and is_due:
			self.due.add(id)

	@with_a_job_in("lost", "intermediate")
	@rule(pick=pick)
	def it_is_found_lost(self, pick):
		id = self.one_in(pick, "lost", "intermediate")
		assert self.settler.settle(id, "queued", REQUEUE, "lost", None) == "done"
		self.put(id, "queue")

	@rule(id=st.sampled_from(ids), found=st.sampled_from(["queued", "started", *SET_ASIDE]), action=actions)
	def it_is_not_any_more_as_it_was_found(self, id, found, action):
		status = STATUS[self.place[id]]
		if status != found or self.place[id] == "queue":
			answer = self.settler.settle(id, found, action, "too late", 9)
			assert answer == ("waiting" if status == found else status)

	@with_a_job_in("scheduled")
	@rule(pick=pick)
	def its_pause_ends(self, pick):
		id = self.one_in(pick, "scheduled")
		self.redis.zadd(keys.delayed_key(self.bench), {id: 0})
		self.due.add(id)

	@rule()
	def what_is_due_is_released_once(self):
		due = set(self.due)
		assert set(held.release_due(self.bench, self.redis)) == due
		assert held.release_due(self.bench, self.redis) == []
		for id in due:
			self.put(id, "queue")

	@rule(id=st.sampled_from(ids), decision=st.sampled_from([held.requeue, held.discard]))
	def a_person_decides(self, id, decision):
		self.what_is_due_is_released_once()
		if self.place[id] in SET_ASIDE:
			decision(self.bench, self.rq_reader, id, "somebody")
			self.attempts[id] = 0
			self.put(id, "queue" if decision is held.requeue else "failed")
		else:
			with pytest.raises(Refused):
				decision(self.bench, self.rq_reader, id, "somebody")

	@with_a_job_in(*REGISTRIES)
	@rule(pick=pick)
	def rq_or_the_desk_is_quicker(self, pick):
		id = self.one_in(pick, *REGISTRIES)
		registry = REGISTRIES[self.place[id]](queue=self.queue)
		if self.place[id] == "failed":
			registry.requeue(id)
		else:
			job = Job.fetch(id, connection=self.queue.connection)
			registry.remove(job)
			self.queue._enqueue_job(job)  # as RQ's scheduler does
		self.put(id, "queue")

	@precondition(lambda machine: hasattr(machine, "ttls"))
	@invariant()
	def each_job_is_in_exactly_one_place_and_no_interruption_is_forgotten(self):
		lists = {"queue": self.queue.key, "intermediate": f"{self.queue.key}:intermediate"}
		found = [(id, place) for place, key in lists.items() for id in self.redis.lrange(key, 0, -1)]
		for place in ("wip", *REGISTRIES):
			members = self.redis.zrange(f"rq:{place}:{self.queue.name}", 0, -1)
			found += [(member.removesuffix(":execution"), place) for member in members]
		assert sorted(found) == sorted(item for item in self.place.items() if item[1] not in ("lost", "done"))
		for id, place in self.place.items():
			status, attempts = self.redis.hmget(f"rq:job:{id}", "status", "safe_restart_attempts")
			assert (status, int(attempts or 0)) == (STATUS[place], self.attempts[id])
			if place in ("failed", *SET_ASIDE):
				ends = place == "failed" and self.ttls[id] != -1
				assert (self.redis.ttl(f"rq:job:{id}") > 0) is ends

	@precondition(lambda machine: not machine.due)
	@invariant()
	def what_waits_for_a_person_or_its_pause_is_listed_and_nothing_else(self):
		listed = [found.job.id for found in held.held_jobs(self.bench, self.rq_reader)]
		assert sorted(listed) == sorted(self.those_in(*SET_ASIDE))


def test_a_job_is_always_in_exactly_one_place_and_none_is_released_twice(bench):
	run(Jobs, bench, 30)


def a_machine(bench: Bench, ttl: int | None) -> Jobs:
	machine = Jobs(bench)
	machine.jobs_are_enqueued((ttl,) * 3, {machine.ids[0]})
	return machine


def test_a_job_that_is_to_be_kept_for_ever_is_kept_when_it_is_marked_as_failed(bench):
	machine = a_machine(bench, ttl=-1)
	machine.it_is_found_interrupted(pick=0, action=FAIL, is_due=False)
	machine.each_job_is_in_exactly_one_place_and_no_interruption_is_forgotten()


def test_a_lost_job_keeps_the_number_of_its_interruptions(bench):
	machine = a_machine(bench, ttl=None)
	machine.it_is_found_interrupted(pick=0, action=REQUEUE, is_due=False)
	machine.a_worker_pops(pick=0, place="lost")
	machine.it_is_found_lost(pick=0)
	machine.each_job_is_in_exactly_one_place_and_no_interruption_is_forgotten()


def test_a_job_that_was_held_and_runs_again_is_not_queued_beside_itself(bench):
	machine = a_machine(bench, ttl=None)
	machine.it_is_found_interrupted(pick=0, action=HOLD, is_due=False)
	machine.rq_or_the_desk_is_quicker(pick=0)
	machine.a_worker_pops(pick=0, place="lost")
	machine.a_worker_starts_it(pick=0, execution="")
	machine.a_person_decides(id=machine.ids[0], decision=held.requeue)
	machine.each_job_is_in_exactly_one_place_and_no_interruption_is_forgotten()


def test_settling_a_job_leaves_the_entry_of_another_whose_id_begins_alike(bench):
	machine = a_machine(bench, ttl=None)
	machine.a_worker_pops(pick=1, place="lost")
	machine.a_worker_starts_it(pick=0, execution=":execution")
	machine.it_is_found_interrupted(pick=0, action=REQUEUE, is_due=False)
	machine.each_job_is_in_exactly_one_place_and_no_interruption_is_forgotten()
