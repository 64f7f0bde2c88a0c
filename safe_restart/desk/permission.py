"""Checks who may ask for restarts on a site: System Managers, where the site itself may."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import frappe
from frappe import _
from redis.exceptions import RedisError

from ..engine.core import bench as benches
from ..engine.core.bench import Bench
from ..engine.core.errors import RestartError
from ..engine.sites.visibility import SiteVisibility, visibility_of

ROLE = "System Manager"


def this_bench() -> Bench:
	"""The bench this site is on. Raises Refused where its configuration cannot be read."""
	return benches.load(frappe.utils.get_bench_path())


def visibility() -> SiteVisibility:
	"""What this site may see of its bench. Raises Refused where it may not ask for restarts."""
	return visibility_of(this_bench(), frappe.local.site)


def has_role() -> bool:
	"""Whether this user may restart; the apps screen asks this too.

	frappe.only_for is not used, as it lets everybody pass while tests run (FACTS 6).
	"""
	return ROLE in frappe.get_roles()


def check_role() -> None:
	"""Raises PermissionError where this user may not restart."""
	if not has_role():
		frappe.throw(_("Only a {0} may restart this bench.").format(_(ROLE)), frappe.PermissionError)


def as_frappe_errors(method: Callable) -> Callable:
	"""A decorator that turns errors of the engine into Frappe's, which a person is shown."""

	@wraps(method)
	def checked(*args: Any, **kwargs: Any) -> Any:
		try:
			return method(*args, **kwargs)
		except RestartError as error:
			frappe.throw(_(str(error)))
		except (RedisError, OSError) as error:
			frappe.throw(_("Redis or a file of the bench could not be reached: {0}").format(error))

	return checked
