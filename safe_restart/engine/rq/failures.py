"""What a Redis that does not do what it is asked says about itself, and what mends that.

A Redis that is away may come back, and is waited for. One that answers with an error has said no: asking again gives the
same answer, and "start it" would be wrong advice.
"""

from redis.exceptions import (
	AuthenticationError,
	AuthorizationError,
	BusyLoadingError,
	ConnectionError,
	RedisError,
	TimeoutError,
)

# What a server's error reply contains (redis.io, and src/server.c of Redis 7), what it means, and what mends it.
REPLIES = (
	(
		"MISCONF",
		"refuses writes, as it cannot save to its disk",
		"make room on its disk and see its log; `redis-cli CONFIG SET stop-writes-on-bgsave-error no` lets it go on unsaved",
	),
	(
		"READONLY",
		"is a replica and takes no writes",
		"name the master in redis_queue of sites/common_site_config.json",
	),
	(
		"BUSY",
		"is busy with a script that does not end",
		"see what runs it; `redis-cli SCRIPT KILL` ends the script",
	),
	("NOAUTH", "wants a password", "set it in redis_queue, or use_rq_auth with rq_username and rq_password"),
	(
		"WRONGPASS",
		"does not take this user name and password",
		"correct redis_queue, or rq_username and rq_password",
	),
	(
		"invalid username-password",
		"does not take this user name and password",
		"correct redis_queue, or rq_username and rq_password",
	),
	("invalid password", "does not take this password", "correct redis_queue"),
	(
		"Authentication required",
		"wants a password",
		"set it in redis_queue, or use_rq_auth with rq_username and rq_password",
	),
	(
		"NOPERM",
		"forbids this user what a restart needs",
		"see docs/configuration.md for what its ACL has to allow",
	),
	(
		"WRONGTYPE",
		"holds a key of RQ's with a value of another type",
		"see which with `redis-cli --scan --pattern 'rq:*'`",
	),
	(
		"max number of clients",
		"takes no more connections",
		"raise maxclients, or end who keeps them open: `redis-cli CLIENT LIST`",
	),
	("OOM", "has no memory left for a write", "raise maxmemory, or make room"),
	("unknown command", "is too old for this command, or has it renamed", "Redis 6.0 or later is needed"),
	("LOADING", "is still loading its data", "wait until it has"),
)


def is_transient(error: BaseException) -> bool:
	"""Whether it may pass by itself: no answer, or one that says so. Never where it was understood and refused."""
	if isinstance(error, AuthenticationError | AuthorizationError) or "max number of clients" in str(error):
		return False
	return isinstance(error, ConnectionError | TimeoutError | BusyLoadingError | OSError)


def describe(error: BaseException, url: str) -> str:
	"""What happened, as a sentence without its full stop; the error's own words are in it."""
	for mark, what, _ in REPLIES:
		if mark in str(error):
			return f"Redis at {url} {what} ({error})"
	if is_transient(error) or not isinstance(error, RedisError):
		return f"Redis at {url} does not answer ({error})"
	return f"Redis at {url} answered with an error ({error})"


def fix_for(error: BaseException) -> str:
	"""What to do about it, as the rest of a sentence."""
	found = next((fix for mark, _, fix in REPLIES if mark in str(error)), "")
	return found or ("start it" if is_transient(error) else "see its log")
