"""When a worker is proven to be safe to stop, and what is done with the proof."""

import itertools

from safe_restart.engine.workers.stop_safety import StopAction, StopSafety, WorkerPhase, decide_stop
from tests.unit.builders import NOW, fleet, worker


def test_a_suspended_worker_is_proven_only_once_it_has_read_our_suspension():
	stop_safety = StopSafety(NOW)
	stop_safety.add(fleet(worker(state="suspended", heartbeat="1")))
	assert not stop_safety.has_read_suspension(worker(state="suspended", heartbeat="1"))
	stop_safety.add(fleet(worker(state="suspended", heartbeat="2")))
	assert stop_safety.has_read_suspension(worker(state="suspended", heartbeat="2"))
	assert not stop_safety.has_read_suspension(worker(state="idle", heartbeat="3"))


def test_a_worker_that_became_suspended_since_we_suspended_is_proven():
	stop_safety = StopSafety(NOW)
	stop_safety.add(fleet(worker(state="busy")))
	stop_safety.add(fleet(worker(state="suspended")))
	assert stop_safety.has_read_suspension(worker(state="suspended"))


def test_a_busy_worker_is_in_a_long_job_only_after_a_while_in_the_same_job():
	stop_safety = StopSafety(NOW)
	stop_safety.add(fleet(worker(state="busy", job="a")))
	assert stop_safety.phase(worker(state="busy", job="a"), {}) is WorkerPhase.IN_BETWEEN
	name, (job, since) = next(iter(stop_safety.busy_since.items()))
	stop_safety.busy_since[name] = (job, since - 1)
	assert stop_safety.phase(worker(state="busy", job="a"), {}) is WorkerPhase.BUSY
	stop_safety.add(fleet(worker(state="busy", job="b")))
	assert stop_safety.phase(worker(state="busy", job="b"), {}) is WorkerPhase.IN_BETWEEN


def ways_to_stop():
	for size in range(5):
		for phases in itertools.combinations_with_replacement(WorkerPhase, size):
			for has_been_waited in (False, True):
				yield set(phases), has_been_waited, decide_stop(phases, has_been_waited)


def test_a_program_is_asked_to_stop_only_where_each_of_its_workers_is_proven():
	for phases, _, act in ways_to_stop():
		if act in (StopAction.SIGNAL, StopAction.UNBLOCK):
			assert phases and not phases & {WorkerPhase.IN_BETWEEN, WorkerPhase.ASKED}
		if act is StopAction.SIGNAL:
			assert phases <= {WorkerPhase.SUSPENDED, WorkerPhase.BUSY}


def test_a_program_that_was_asked_to_stop_is_never_asked_again():
	for phases, _, act in ways_to_stop():
		assert (act is StopAction.ALREADY_ASKED) is (WorkerPhase.ASKED in phases)


def test_a_program_without_proof_is_stopped_the_next_best_way_only_after_waiting():
	for phases, has_been_waited, act in ways_to_stop():
		is_unproven = not phases or WorkerPhase.IN_BETWEEN in phases
		is_open = is_unproven and WorkerPhase.ASKED not in phases
		assert (act is StopAction.UNPROVEN_STOP) is (is_open and has_been_waited)
		assert (act is StopAction.LOOK_AGAIN) is (is_open and not has_been_waited)


def test_what_is_done_with_a_proven_program_does_not_depend_on_time_or_order():
	for size in range(1, 4):
		for phases in itertools.product(set(WorkerPhase) - {WorkerPhase.IN_BETWEEN}, repeat=size):
			assert (
				len({decide_stop(order, waited) for order in (phases, phases[::-1]) for waited in (0, 1)})
				== 1
			)
