"""Waiting for something to become true."""

import time
from collections.abc import Callable

LOOK_INTERVAL_SECONDS = 0.02  # between two checks that ask Redis or a process manager
FAST_LOOK_INTERVAL_SECONDS = 0.01  # between two checks that cost next to nothing


def wait_until(
	is_done: Callable[[], object],
	timeout_seconds: float,
	interval_seconds: float = LOOK_INTERVAL_SECONDS,
) -> bool:
	"""Call `is_done` until its answer is true; False if that takes longer than `timeout_seconds`.

	`is_done` is called at least once, and a last time when the timeout is over. The timeout may be 0 or infinite. What
	`is_done` raises ends the wait.
	"""
	deadline = time.monotonic() + timeout_seconds
	while not is_done():
		seconds_left = deadline - time.monotonic()
		if seconds_left <= 0:
			return False
		time.sleep(min(interval_seconds, seconds_left))
	return True
