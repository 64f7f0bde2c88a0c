"""A process manager that is waited for while it does not answer."""

from collections.abc import Callable
from typing import Any, cast

from .base import ProcessManager

# A signal is never repeated: it may have arrived.
RETRIED = ("services", "start", "stop", "hindrance")

Retry = Callable[[Callable[[], Any]], Any]


class RetryingManager:
	"""Any process manager; those of its methods that are safe to repeat are repeated while it does not answer."""

	def __init__(self, manager: ProcessManager, retry: Retry):
		self.manager = manager
		self.retry = retry

	def __getattr__(self, name: str) -> Any:
		found = getattr(self.manager, name)
		if name not in RETRIED:
			return found
		return lambda *args, **kwargs: self.retry(lambda: found(*args, **kwargs))


def retrying(manager: ProcessManager, retry: Retry) -> ProcessManager:
	"""The manager, waited for as for a supervisord that died and is started again.

	retry: calls a function again while that raises Unreachable, and raises what it raised last when it gives up
	"""
	return cast(ProcessManager, RetryingManager(manager, retry))
