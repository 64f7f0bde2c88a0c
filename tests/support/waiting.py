"""Waiting for what a test expects, with a bound."""

import time
from collections.abc import Callable

WAIT_SECONDS = 40


def wait_for(condition: Callable[[], object], what: str = "", seconds: float = WAIT_SECONDS) -> None:
	deadline = time.monotonic() + seconds
	while not condition():
		assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what or condition}"
		time.sleep(0.02)
