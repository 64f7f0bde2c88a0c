"""The suspension lease, on a real Redis."""

import threading

import pytest

from safe_restart.engine.rq import connection, suspension
from safe_restart.engine.rq.suspension import Lease
from tests.support.waiting import wait_for

pytestmark = pytest.mark.engine


@pytest.fixture
def redis(quiet_demo):
	return connection.connect(quiet_demo.bench)


def test_a_lease_has_an_owner_and_an_end_and_is_given_back(redis):
	lease = Lease(redis, "b", "r1")
	lease.take()
	assert redis.get("rq:suspended") == "safe-restart:b:r1"
	assert 0 < redis.ttl("rq:suspended") <= suspension.LEASE_SECONDS
	lease.release()
	lease.release()
	assert not redis.exists("rq:suspended")


def test_a_lease_is_renewed_while_it_is_held(redis, monkeypatch):
	monkeypatch.setattr(suspension, "RENEW_SECONDS", 0.05)
	lease = Lease(redis, "b", "r1")
	lease.take()
	redis.pexpire("rq:suspended", 500)
	wait_for(lambda: redis.pttl("rq:suspended") > 5000, "it is renewed")
	lease.release()


def test_nobody_renews_a_lease_that_was_taken_twice_and_given_back(redis):
	lease = Lease(redis, "b", "r1")
	lease.take()
	lease.take()
	assert [thread.name for thread in threading.enumerate()].count("lease") == 1
	lease.release()
	assert "lease" not in [thread.name for thread in threading.enumerate()]
	assert not redis.exists("rq:suspended")


def test_a_foreign_suspension_is_neither_renewed_nor_removed(redis):
	redis.set("rq:suspended", "somebody", ex=100)
	lease = Lease(redis, "b", "r1")
	lease.take()
	assert lease.foreign == "somebody"
	lease.release()
	assert redis.get("rq:suspended") == "somebody"


def test_what_a_dead_helper_of_this_bench_left_is_taken_over_but_not_another_benchs(redis):
	redis.set("rq:suspended", "safe-restart:b:dead", ex=100)
	lease = Lease(redis, "b", "r2")
	lease.take()
	assert lease.foreign is None
	assert redis.get("rq:suspended") == "safe-restart:b:r2"
	lease.release()
	redis.set("rq:suspended", "safe-restart:b2:alive", ex=100)
	other = Lease(redis, "b", "r3")
	other.take()
	assert other.foreign == "safe-restart:b2:alive"
	other.release()
	assert redis.get("rq:suspended") == "safe-restart:b2:alive"


def test_a_lease_that_was_removed_is_taken_again_and_one_that_was_taken_is_respected(redis, monkeypatch):
	monkeypatch.setattr(suspension, "RENEW_SECONDS", 0.05)
	said = []
	lease = Lease(redis, "b", "r1", said.append)
	lease.take()
	redis.delete("rq:suspended")
	wait_for(lambda: redis.get("rq:suspended") == "safe-restart:b:r1", "it is taken again")
	wait_for(lambda: said and "taken again" in said[0])
	redis.set("rq:suspended", "somebody")
	wait_for(lambda: lease.foreign == "somebody", "it is seen who has it")
	lease.release()
	assert redis.get("rq:suspended") == "somebody"
	assert len(said) == 2
