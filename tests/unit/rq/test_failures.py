"""What a Redis that does not do what it is asked says, and what mends that."""

import pytest
from redis.exceptions import (
	AuthenticationError,
	BusyLoadingError,
	ConnectionError,
	NoPermissionError,
	ReadOnlyError,
	ResponseError,
	TimeoutError,
)

from safe_restart.engine.rq import failures

URL = "redis://127.0.0.1:11000"


@pytest.mark.parametrize(
	("error", "may_pass", "says", "fix"),
	[
		(ConnectionError("Error 111 connecting. Connection refused."), True, "does not answer", "start it"),
		(TimeoutError("Timeout reading from socket"), True, "does not answer", "start it"),
		(OSError("Network is unreachable"), True, "does not answer", "start it"),
		(
			BusyLoadingError("Redis is loading the dataset in memory"),
			True,
			"is still loading its data",
			"wait until it has",
		),
		(ResponseError("MISCONF Redis is configured to save RDB snapshots"), False, "refuses writes", "disk"),
		(
			ReadOnlyError("READONLY You can't write against a read only replica."),
			False,
			"is a replica",
			"master",
		),
		(
			ResponseError("BUSY Redis is busy running a script."),
			False,
			"a script that does not end",
			"SCRIPT KILL",
		),
		(AuthenticationError("Authentication required."), False, "wants a password", "redis_queue"),
		(ResponseError("NOAUTH Authentication required."), False, "wants a password", "redis_queue"),
		(
			AuthenticationError("invalid username-password pair or user is disabled."),
			False,
			"does not take this",
			"correct",
		),
		(NoPermissionError("NOPERM this user has no permissions"), False, "forbids this user", "ACL"),
		(ConnectionError("max number of clients reached"), False, "no more connections", "maxclients"),
		(ResponseError("WRONGTYPE Operation against a key"), False, "another type", "redis-cli"),
		(ResponseError("ERR something new"), False, "answered with an error", "see its log"),
	],
)
def test_each_kind_of_failure_has_its_own_sentence_and_fix(error, may_pass, says, fix):
	assert failures.is_transient(error) is may_pass
	told = failures.describe(error, URL)
	assert says in told and URL in told and str(error) in told
	assert fix in failures.fix_for(error)
