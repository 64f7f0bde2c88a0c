"""The plan tells the truth about any jobs on any fleet."""

import json
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_restart.engine.jobs.retry_policy import Policy
from safe_restart.engine.managers.base import Service
from safe_restart.engine.processes.classify import WORKERS
from safe_restart.engine.restart.options import Options
from safe_restart.engine.restart.strategies import STRATEGIES
from safe_restart.engine.rq.snapshot import Job, Queue, RqSnapshot, Worker
from safe_restart.engine.views.plan import make_plan
from safe_restart.engine.workers.fleet import Fleet, WorkerProgram
from tests.unit.builders import NOW, fleet, worker
from tests.unit.generated import options

jobs = st.builds(
	Job,
	id=st.just(""),
	queue=st.just("b:default"),
	status=st.just("started"),
	method=st.text(max_size=5),
	site=st.text(max_size=5),
	enqueued_at=st.none(),
	started_at=st.none()
	| st.integers(-1000, 10).map(lambda ago: datetime.fromtimestamp(NOW + ago, timezone.utc)),
	timeout_seconds=st.integers(-1, 4000),
	worker=st.text(max_size=3),
	attempts=st.integers(0, 5),
)
queues = st.builds(Queue, st.text(), *[st.integers(0, 99)] * 5, st.just(()))


@st.composite
def fleets(draw) -> Fleet:
	"""Up to six workers, each with a job that is known, one that is not, or none, in units or astray."""
	known, groups = {}, {"g:a": [], "g:b": [], "astray": []}
	for number in range(draw(st.integers(0, 6))):
		job_id = draw(st.sampled_from([None, "forgotten", f"s::{number}"]))
		if job_id == f"s::{number}":
			known[job_id] = Job(**{**vars(draw(jobs)), "id": job_id})
		state = "busy" if job_id else draw(st.sampled_from(["idle", "suspended", "started"]))
		worker = Worker(f"w{number}", 10 + number, "", "", state, ("b:default",), job_id, None, "1", False)
		groups[draw(st.sampled_from(list(groups)))].append(worker)
	unmanaged = tuple(groups.pop("astray"))
	workers = (*unmanaged, *(worker for group in groups.values() for worker in group))
	snapshot = RqSnapshot(NOW, None, -2, workers, (), known, tuple(draw(st.lists(queues, max_size=3))), {})
	grace = draw(st.integers(0, 2000))
	programs = tuple(
		WorkerProgram(Service(name, WORKERS, "running", 1, 0, grace, "bench worker", ()), tuple(group))
		for name, group in groups.items()
	)
	return Fleet(snapshot, programs, unmanaged, ())


@given(fleets(), st.sampled_from(list(STRATEGIES.values())), options)
def test_any_fleet_has_a_plan_that_counts_each_job_and_says_which_it_interrupts(fleet, strategy, options):
	answer = make_plan(fleet, strategy, options, Policy())
	looked_at = fleet.snapshot
	assert answer.queued == sum(queue.depth for queue in looked_at.queues)
	assert answer.scheduled == sum(queue.scheduled for queue in looked_at.queues)
	assert sorted(fate.job for fate in answer.running) == sorted(looked_at.jobs)
	unmanaged = {worker.job_id for worker in fleet.unmanaged}
	for fate in answer.running:
		grace = fleet.programs[0].service.stop_wait_seconds
		grace = grace if options.force_kill_timeout is None else options.force_kill_timeout
		left = looked_at.jobs[fate.job].seconds_left(NOW)
		is_in_reach = strategy.interrupts and options.touches_workers and fate.job not in unmanaged
		assert fate.may_be_interrupted is (is_in_reach and (left is None or left > grace))
		assert fate.may_be_interrupted is fate.fate.startswith("interrupted")
	lefts = [fate.seconds_left for fate in answer.running]
	assert answer.all_done_within_seconds == (None if None in lefts else max(lefts, default=0))
	assert not STRATEGIES[answer.recommended].interrupts
	json.dumps(answer.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
	("strategy", "grace", "fate", "interrupted"),
	[
		("rolling", None, "finishes on the old code", False),
		("wait-workers", None, "finishes first", False),
		("no-wait-workers", None, "finishes on the old code", False),
		("suspend-rq", 10, "interrupted if it needs more than 10 s, then run again", True),
		("now", 10, "interrupted if it needs more than 10 s, then run again", True),
		("now", 250, "finishes in the grace", False),
		("now", None, "finishes in the grace", False),
	],
)
def test_the_plan_tells_a_running_jobs_fate_by_strategy(strategy, grace, fate, interrupted):
	started = datetime.fromtimestamp(NOW - 100, timezone.utc)
	job = Job("s::1", "b:default", "started", "m", "s", None, started, 300, "w", 0)
	seen = fleet(worker(state="busy", job="s::1"), jobs=[job])
	answer = make_plan(seen, STRATEGIES[strategy], Options(force_kill_timeout=grace), Policy())
	assert answer.running[0].fate.startswith(fate)
	assert answer.running[0].may_be_interrupted is interrupted
	assert answer.running[0].seconds_left == 200
	assert answer.recommended == "rolling"


def test_the_plan_says_that_a_job_interrupted_too_often_is_held():
	started = datetime.fromtimestamp(NOW - 100, timezone.utc)
	job = Job("s::1", "b:default", "started", "m", "s", None, started, 300, "w", 2)
	seen = fleet(worker(state="busy", job="s::1"), jobs=[job])
	answer = make_plan(seen, STRATEGIES["now"], Options(force_kill_timeout=0), Policy())
	assert "held for a person" in answer.running[0].fate


def test_a_restart_of_other_services_does_not_touch_jobs():
	job = Job("s::1", "b:default", "started", "m", "s", None, None, -1, "w", 0)
	seen = fleet(worker(state="busy", job="s::1"), jobs=[job])
	answer = make_plan(seen, STRATEGIES["now"], Options(only=("web",)), Policy())
	assert answer.running[0].fate.startswith("goes on")
	assert answer.all_done_within_seconds is None
