"""Who may ask for restarts on a site: System Managers, where the site itself may."""

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
	"""Whether this user may restart; the apps screen asks too. Not frappe.only_for, which lets everybody pass while
	tests run."""
	return ROLE in frappe.get_roles()


def check_role() -> None:
	"""Raises PermissionError."""
	if not has_role():
		frappe.throw(_("Only a {0} may restart this bench.").format(_(ROLE)), frappe.PermissionError)


def as_frappe_errors(method: Callable) -> Callable:
	"""Let what the engine refuses or cannot do reach a person as Frappe's own kind of error."""

	@wraps(method)
	def checked(*args: Any, **kwargs: Any) -> Any:
		try:
			return method(*args, **kwargs)
		except RestartError as error:
			frappe.throw(_(str(error)))
		except (RedisError, OSError) as error:
			frappe.throw(_("Redis or a file of the bench could not be reached: {0}").format(error))

	return checked
