"""What a job's description tells, since the data itself is pickled and never opened."""

import re

CUT = "..."  # what RQ puts in place of the rest of an argument beyond 75 characters (rq.utils.truncate_long_string)
# Frappe's scheduler runs every event through this one method, whose name is cut, and names the event beside it
# (frappe/core/doctype/scheduled_job_type/scheduled_job_type.py).
SCHEDULED = "frappe.core.doctype.scheduled_job_type.scheduled_job_type.run_scheduled_jo"
EVENT = re.compile(r".*\bkwargs=\{'job_type': '(?:([^',]+\.\.\.)|([^']+)')", re.DOTALL)


def method_of(description: str) -> str:
	"""The dotted method a job's description names, which ends in CUT where it is too long for RQ.

	Frappe's jobs all run `execute_job(…, method='…')`; any other job is described by its own function.
	"""
	method = argument(description, "method")
	if method.startswith(SCHEDULED) and (event := EVENT.match(description)):
		return event[1] or event[2]
	return method or description.split("(", 1)[0]


def is_named(method: str, name: str) -> bool:
	"""Whether this may be the method of that name, as far as it can be read."""
	return name.startswith(method.removesuffix(CUT)) if method.endswith(CUT) else method == name


def site_of(description: str) -> str:
	"""The site a job's description names; for ids without one, since rq 3 takes no separator in them."""
	return argument(description, "site")


def user_of(description: str) -> str:
	"""The user for whom a job runs, as its description names it."""
	return argument(description, "user")


def argument(description: str, name: str) -> str:
	"""The last such argument in a description, which RQ sorts (rq.utils.get_call_string): a job's own arguments stand
	in `kwargs`, before all that is asked for here, and may hold any text."""
	values = r"'([^',]+\.\.\.)(?=, |\)$)|'([^']+)'|<function ([\w.]+)|<bound method ([\w.]+)"
	named = re.match(rf".*\b{name}=(?:{values})", description, re.DOTALL)
	return next(filter(None, named.groups())) if named else ""
