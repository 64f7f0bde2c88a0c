"""core/waiting.py: what is waited for is checked at once, again and again, and once more at the end."""

import time

import pytest

from safe_restart.engine.core.waiting import wait_until


def test_what_is_true_already_is_not_waited_for():
	assert wait_until(lambda: "yes", 0)


def test_a_wait_ends_as_soon_as_the_answer_is_true():
	answers = iter([False, None, 0, True])
	assert wait_until(lambda: next(answers), float("inf"), 0.001)
	assert next(answers, "none left") == "none left"


def test_a_wait_ends_with_its_timeout_and_a_last_check():
	checked_at = []
	began = time.monotonic()
	assert not wait_until(lambda: checked_at.append(time.monotonic()), 0.1, 60)
	assert [at - began >= 0.1 for at in checked_at] == [False, True]


def test_an_error_ends_a_wait():
	with pytest.raises(ZeroDivisionError):
		wait_until(lambda: 1 / 0, 60)
