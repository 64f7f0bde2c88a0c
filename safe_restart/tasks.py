"""What Frappe's scheduler does for us, on sites where the app is installed."""

from .engine import queues, rescue
from .permission import this_bench


def release_delayed_jobs() -> None:
	"""Queue interrupted jobs whose pause is over; the helper does it too, and whoever comes first."""
	bench = this_bench()
	rescue.release_due(bench, queues.connect(bench))
