"""Connections to the bench's queue Redis, and what that server can do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from ..core.bench import Bench
from .keys import PROBE

CONNECT_TIMEOUT_SECONDS = 2
ANSWER_TIMEOUT_SECONDS = 5
PROBE_MS = 1000

LUA = Path(__file__).with_name("lua")


def connect(bench: Bench) -> Redis:
	"""A client for the bench's queue Redis; nothing is sent before its first use."""
	username, password = bench.redis_credentials
	given = {"username": username, "password": password} if username else {}
	# redis-py 4 accepts no connect timeout for a unix socket, and such a socket needs none.
	by_network = not bench.redis_queue_url.startswith("unix:")
	timeouts = {"socket_connect_timeout": CONNECT_TIMEOUT_SECONDS} if by_network else {}
	return Redis.from_url(
		bench.redis_queue_url,
		decode_responses=True,
		encoding_errors="replace",
		socket_timeout=ANSWER_TIMEOUT_SECONDS,
		**timeouts,
		retry=Retry(NoBackoff(), 0),  # the caller decides whether and how long to try again
		**given,
	)


def script(redis: Redis, name: str) -> Callable[..., Any]:
	"""The script lua/<name>.lua, to be called with `keys` and `args`; its text is sent once, then its hash."""
	return redis.register_script((LUA / f"{name}.lua").read_text())


def is_up(redis: Redis) -> bool:
	"""Whether Redis answers now."""
	try:
		return bool(redis.ping())
	except (RedisError, OSError):
		return False


def find_problem(redis: Redis) -> Exception | None:
	"""Why this Redis cannot do what a restart needs, answering and writing; None where it can."""
	try:
		redis.ping()
		redis.set(PROBE, "1", px=PROBE_MS)
	except (RedisError, OSError) as error:
		return error
	return None


def keeps_jobs(redis: Redis) -> bool:
	"""Whether queued jobs survive a stop of Redis: it saves snapshots or appends to a file. Raises RedisError."""
	# One pattern at a time: Redis before 7.0 understands no more (redis.io/commands/config-get, FACTS 6.5).
	config = {**redis.config_get("save"), **redis.config_get("appendonly")}
	return config.get("appendonly") == "yes" or bool(config.get("save"))
