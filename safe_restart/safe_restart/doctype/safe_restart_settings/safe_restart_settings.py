"""The settings of the bench for restarts, as a form.

Their place is `safe_restart` in sites/common_site_config.json, where the engine and the command line read
them, so they are the same on all sites of the bench. The form shows what stands there, and saving it writes
there.
"""

from dataclasses import replace

import frappe
from frappe.model.document import Document

from ....desk import journal_sync, request_options
from ....desk.permission import as_frappe_errors, check_role, this_bench, visibility
from ....engine.core.bench import Bench
from ....engine.jobs import retry_policy
from ....engine.restart.options import SETTINGS, settable_by
from ....engine.restart.strategies import strategy_named
from ....engine.sites import maintenance
from ....engine.state.journal import Journal
from ....engine.views import board

# force_kill_timeout may be empty, so it is a text in the form.
DEFAULTS = tuple(row.name for row in settable_by(SETTINGS) if not row.may_be_none)


class SafeRestartSettings(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		from safe_restart.safe_restart.doctype.safe_restart_job_policy.safe_restart_job_policy import (
			SafeRestartJobPolicy,
		)

		default_strategy: DF.Literal["rolling", "wait-workers", "no-wait-workers", "suspend-rq", "now"]
		force_kill_timeout: DF.Data | None
		interrupted: DF.Literal["requeue", "hold", "fail"]
		job_policies: DF.Table[SafeRestartJobPolicy]
		max_attempts: DF.Int
		migrate_timeout: DF.Float
		retry_delays_seconds: DF.Data | None
		wait_workers_timeout: DF.Float
	# end: auto-generated types

	def load_from_db(self) -> "SafeRestartSettings":
		super().load_from_db()
		self.show(this_bench())
		return self

	@as_frappe_errors
	def validate(self) -> None:
		check_role()
		visibility()
		self.flags.checked = self.as_config()
		check(this_bench(), self.flags.checked)

	@as_frappe_errors
	def on_update(self) -> None:
		# Frappe saves every Single unchecked when an app is installed (installer.init_singles): that is no
		# choice of a person.
		if self.flags.checked:
			write(this_bench(), self.flags.checked)

	def show(self, bench: Bench) -> None:
		"""Fill the form from the file."""
		defaults, rules = board.defaults(bench), bench.settings
		self.default_strategy = defaults["strategy"]
		self.force_kill_timeout = journal_sync.as_text(defaults["force_kill_timeout"])
		self.update({name: defaults[name] for name in DEFAULTS})
		self.max_attempts = rules.max_attempts
		self.retry_delays_seconds = ", ".join(f"{delay:g}" for delay in rules.retry_delays_seconds)
		methods = dict(rules.job_policy)
		if methods != self.methods():
			self.job_policies = []
			for method, action in methods.items():
				row = {
					"method": method,
					"action": action,
					"name": frappe.generate_hash(length=10),
					"__islocal": 1,
				}
				self.append("job_policies", row)

	def methods(self) -> dict:
		return {row.method.strip(): row.action for row in self.job_policies}

	def as_config(self) -> dict:
		"""The values of the form as the engine reads them."""
		kill = self.force_kill_timeout
		return {
			"defaults": {
				"strategy": self.default_strategy,
				"force_kill_timeout": request_options.number(kill) if kill not in (None, "") else None,
				**{name: self.get(name) for name in DEFAULTS},
			},
			"max_attempts": self.max_attempts,
			"retry_delays_seconds": [
				request_options.number(delay) for delay in request_options.words(self.retry_delays_seconds)
			],
			"job_policy": self.methods(),
		}


def check(bench: Bench, ours: dict) -> None:
	"""Check the values as the engine would read them. Raises Refused."""
	changed = replace(
		bench, config={**bench.config, "safe_restart": {**(bench.config.get("safe_restart") or {}), **ours}}
	)
	options = request_options.options_of({}, changed)
	request_options.strategy_of(strategy_named(ours["defaults"]["strategy"]).name, options, changed)
	retry_policy.of_bench(changed)


def write(bench: Bench, ours: dict) -> None:
	"""Write our keys into the file, all at once. Raises OSError.

	The lock keeps other writers of ours out, but not bench, which writes the file without a lock (FACTS 2).
	"""
	Journal(bench)  # makes the folder of the lock
	path = bench.sites_path / "common_site_config.json"
	with maintenance.config_lock(bench.state_path):
		config = maintenance.read_config(path)
		settings = {**(config.get("safe_restart") or {}), **ours}
		if settings != config.get("safe_restart"):
			maintenance.write_config(path, {**config, "safe_restart": settings})
