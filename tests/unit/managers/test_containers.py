"""What is concluded from registrations and connections alone, where no process can be seen. Pure tables."""

import time
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_restart.engine.managers import containers
from safe_restart.engine.managers.container_slots import Slots
from safe_restart.engine.rq.client_list import Client
from safe_restart.engine.rq.snapshot import RqSnapshot, Worker

NOW = time.time()
LONG_AGO = NOW - 10_000


def worker(name, host="a", address="10.0.0.1", pid=1, state="idle", queues=("b:short",), age=100.0) -> Worker:
	birth = datetime.fromtimestamp(NOW - age, timezone.utc)
	return Worker(
		name, pid, host, f"{address}:4711" if address else "unknown", state, queues, None, birth, "", False
	)


def client(number, address="10.0.0.1", name="", command="") -> Client:
	return Client(number, name, address, 5000 + number, bool(command), command)


def snapshot(*workers, other_addresses=()) -> RqSnapshot:
	return RqSnapshot(NOW, None, -2, workers, (), {}, (), {}, frozenset(other_addresses))


@pytest.mark.parametrize(
	("workers", "clients", "redis_age", "alive"),
	[
		([worker("w")], [client(1, name="w")], 10_000, ["w"]),
		# CLIENT LIST is forbidden: a registration is all there is
		([worker("w")], [], 10_000, ["w"]),
		# nobody at its address has a connection
		([worker("w")], [client(1, "10.0.0.9")], 10_000, []),
		# ... but Redis has just started, and they may be on their way back
		([worker("w")], [client(1, "10.0.0.9")], 5, ["w"]),
		# RQ could not find out its address
		([worker("w", address="")], [client(1, "10.0.0.9")], 10_000, ["w"]),
		# names are lost with a Redis that was started anew; a connection from its address may be its own
		([worker("w", age=900)], [client(1)], 800, ["w"]),
		# a container that was started anew: the same host name and pid, and the old one has no connection
		([worker("old", age=90), worker("new", age=10)], [client(1, name="new")], 10_000, ["new"]),
		# two pods that share a host name and both are pid 1: both have their connection
		([worker("x", age=90), worker("y", age=10)], [client(1, name="x"), client(2, name="y")], 10_000, ["x", "y"]),
		# the same after a restart of Redis, when names say nothing about those from before
		([worker("x", age=900), worker("y", age=10)], [client(1, name="y"), client(2)], 800, ["x", "y"]),
	],
)  # fmt: skip
def test_a_worker_counts_as_dead_only_where_that_is_sure(workers, clients, redis_age, alive):
	assert [one.name for one in containers.living(workers, clients, NOW - redis_age, NOW)] == alive


@pytest.mark.parametrize(
	("seen", "clients", "waits"),
	[
		(snapshot(worker("w")), [client(1, command="blpop")], {"w"}),
		(snapshot(worker("w")), [client(1, command="blmove")], {"w"}),
		(snapshot(worker("w")), [client(1, name="w")], set()),
		# somebody else's blocking command
		(snapshot(worker("w")), [client(1, command="xread")], set()),
		# one of two is in between
		(snapshot(worker("v"), worker("w", pid=2)), [client(1, command="blpop")], set()),
		(snapshot(worker("v"), worker("w", pid=2)), [client(1, command="blpop"), client(2, command="blpop")], {"v", "w"}),
		# a busy one does not wait
		(snapshot(worker("v", state="busy"), worker("w", pid=2)), [client(1, command="blpop")], {"w"}),
		# more wait than we know of: somebody else's are among them
		(snapshot(worker("w")), [client(1, command="blpop"), client(2, command="blpop")], set()),
		# another bench's workers are at that address
		(snapshot(worker("w"), other_addresses=["10.0.0.1"]), [client(1, command="blpop")], set()),
		(snapshot(worker("w", address="")), [client(1, command="blpop")], set()),
	],
)  # fmt: skip
def test_a_worker_counts_as_waiting_only_where_its_whole_address_does(seen, clients, waits):
	assert set(containers.who_waits(seen, clients)) == waits


def test_a_worker_that_comes_back_elsewhere_takes_the_slot_of_the_one_that_left():
	slots = Slots()
	names = [
		slot.name
		for slot in slots.fill([worker("a"), worker("b", "h2"), worker("l", "h3", queues=("b:long",))], "b:")
	]
	assert names == ["short-1", "short-2", "long-1"]
	after = slots.fill([worker("b", "h2"), worker("l", "h3", queues=("b:long",))], "b:")
	assert [slot.is_held for slot in after] == [False, True, True]
	after = slots.fill([worker("b", "h2"), worker("c", "h9"), worker("l", "h3", queues=("b:long",))], "b:")
	assert [(slot.name, slot.last.name, slot.is_held) for slot in after] == [
		("short-1", "c", True),
		("short-2", "b", True),
		("long-1", "l", True),
	]


workers_now = st.lists(
	st.builds(worker, st.uuids().map(str), st.sampled_from("abc"), queues=st.sampled_from([("b:short",), ("b:long", "b:short")])),
	max_size=6,
)  # fmt: skip


@given(st.lists(workers_now, max_size=5))
def test_every_living_worker_has_one_slot_and_no_slot_changes_its_name(looks):
	slots, names = Slots(), []
	for now in looks:
		filled = slots.fill(now, "b:")
		assert sorted(slot.last.name for slot in filled if slot.is_held) == sorted(one.name for one in now)
		assert [slot.name for slot in filled][: len(names)] == names
		names = [slot.name for slot in filled]
		assert len(set(names)) == len(names)
