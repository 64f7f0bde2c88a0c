"""What a job's description tells, since the data itself is pickled and never opened."""

import re


def method_of(description: str) -> str:
	"""The dotted method a job's description names; the data itself is pickled and never opened.

	Frappe's jobs all run `execute_job(…, method='…')`; any other job is described by its own function.
	"""
	return argument(description, "method") or description.split("(", 1)[0]


def site_of(description: str) -> str:
	"""The site a job's description names; for ids without one, since rq 3 takes no separator in them."""
	return argument(description, "site")


def user_of(description: str) -> str:
	"""The user for whom a job runs, as its description names it."""
	return argument(description, "user")


def argument(description: str, name: str) -> str:
	"""The last such argument in a description, which RQ sorts (rq.utils.get_call_string): a job's own arguments stand
	in `kwargs`, before all that is asked for here, and may hold any text."""
	pattern = rf".*\b{name}=(?:'([^']+)'|<function ([\w.]+)|<bound method ([\w.]+))"
	named = re.match(pattern, description, re.DOTALL)
	return next(filter(None, named.groups())) if named else ""
