"""What Frappe's scheduler does for us, on sites where the app is installed."""

from ..engine.jobs import held
from ..engine.rq import connection
from .permission import this_bench


def release_delayed_jobs() -> None:
	"""Queue interrupted jobs whose pause is over; the helper does it too, and whoever comes first."""
	bench = this_bench()
	held.release_due(bench, connection.connect(bench))
