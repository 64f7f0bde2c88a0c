"""What an app might name in its hooks, for the tests."""

import time


def objects() -> str:
	return "payroll is being submitted"


def agrees() -> None:
	return None


def fails() -> None:
	raise ValueError("no such table")


def hangs() -> None:
	time.sleep(3)


def told(*arguments) -> None:
	if arguments[-1] == "failed":
		raise ValueError(arguments)
