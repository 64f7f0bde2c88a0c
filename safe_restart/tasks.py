"""What Frappe's scheduler does for us, on sites where the app is installed."""

import frappe.utils

from .engine import bench as benches
from .engine import queues, rescue


def release_delayed_jobs() -> None:
	"""Queue interrupted jobs whose pause is over; the helper does it too, and whoever comes first."""
	bench = benches.load(frappe.utils.get_bench_path())
	rescue.release_due(bench, queues.connect(bench))
