"""The plan tells the truth about any jobs on any fleet."""

import json
from datetime import datetime, timezone

from hypothesis import given
from hypothesis import strategies as st

from safe_restart.engine.jobs.retry_policy import Policy
from safe_restart.engine.managers.base import Service
from safe_restart.engine.processes.classify import WORKERS
from safe_restart.engine.restart.strategies import STRATEGIES
from safe_restart.engine.rq.snapshot import Job, Queue, RqSnapshot, Worker
from safe_restart.engine.views.plan import make_plan
from safe_restart.engine.workers.fleet import Fleet, WorkerProgram
from tests.unit.restart.test_strategies import options

NOW = 1_800_000_000.0

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
def test_any_fleet_has_a_plan_that_counts_each_job_and_interrupts_none_that_it_does_not_say(
	fleet, strategy, options
):
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
