"""What Frappe's scheduler runs, on sites where the app is installed."""

from ..engine.jobs import held
from ..engine.rq import connection
from .permission import this_bench


def release_delayed_jobs() -> None:
	"""Queue the delayed jobs whose pause is over.

	The helper does the same; the first of them queues a job.
	"""
	bench = this_bench()
	held.release_due(bench, connection.connect(bench))
