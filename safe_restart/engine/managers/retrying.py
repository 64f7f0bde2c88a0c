"""Waiting for a process manager that does not answer."""

from collections.abc import Callable
from typing import Any, cast

from .base import ProcessManager

# Methods that are safe to repeat. A signal is not: it may have arrived.
RETRIED = ("services", "start", "stop", "hindrance")

Retry = Callable[[Callable[[], Any]], Any]


class RetryingManager:
	"""A process manager, some of whose methods are called again while it does not answer."""

	def __init__(self, manager: ProcessManager, retry: Retry):
		self.manager = manager
		self.retry = retry

	def __getattr__(self, name: str) -> Any:
		found = getattr(self.manager, name)
		if name not in RETRIED:
			return found
		return lambda *args, **kwargs: self.retry(lambda: found(*args, **kwargs))


def retrying(manager: ProcessManager, retry: Retry) -> ProcessManager:
	"""Wrap a process manager, so that it is waited for while it does not answer.

	retry: calls a function again while that raises Unreachable, and raises the last error when it gives up
	"""
	return cast(ProcessManager, RetryingManager(manager, retry))
