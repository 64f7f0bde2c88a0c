"""What a job's description says of it. The job's data is pickled, and is never opened here (FACTS 1.15)."""

import re

CUT = "..."  # stands for what follows the first 75 characters of an argument (rq.utils.truncate_long_string)
# Frappe's scheduler runs every event by this one method, whose name is cut here as RQ cuts it; `job_type` names the
# event (frappe/core/doctype/scheduled_job_type/scheduled_job_type.py).
SCHEDULED = "frappe.core.doctype.scheduled_job_type.scheduled_job_type.run_scheduled_jo"
EVENT = re.compile(r".*\bkwargs=\{'job_type': '(?:([^',]+\.\.\.)|([^']+)')", re.DOTALL)


def method_of(description: str) -> str:
	"""The dotted method that a job's description names. It ends in CUT where it is too long for RQ.

	Frappe's jobs all run `execute_job(…, method='…')`; any other job is described by its own function.
	"""
	method = argument(description, "method")
	if method.startswith(SCHEDULED) and (event := EVENT.match(description)):
		return event[1] or event[2]
	return method or description.split("(", 1)[0]


def is_named(method: str, name: str) -> bool:
	"""Whether `method` may be the method `name`. Of a method that RQ has cut only the beginning is compared."""
	return name.startswith(method.removesuffix(CUT)) if method.endswith(CUT) else method == name


def site_of(description: str) -> str:
	"""The site that a job's description names. For ids without a site: rq 3 accepts no separator in an id."""
	return argument(description, "site")


def user_of(description: str) -> str:
	"""The user for whom a job runs, as its description names it."""
	return argument(description, "user")


def argument(description: str, name: str) -> str:
	"""The value of an argument in a description; empty where there is none.

	The last match counts. RQ sorts the arguments (rq.utils.get_call_string), so `kwargs`, which holds the job's own
	arguments and with them any text, comes before all arguments that this is called with.
	"""
	values = r"'([^',]+\.\.\.)(?=, |\)$)|'([^']+)'|<function ([\w.]+)|<bound method ([\w.]+)"
	named = re.match(rf".*\b{name}=(?:{values})", description, re.DOTALL)
	return next(filter(None, named.groups())) if named else ""
