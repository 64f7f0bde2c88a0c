"""Bringing a service from its old process to a new one, without ever asking its manager to keep it down."""

import time

from ..core.errors import RestartError
from ..managers.base import ProcessManager, Service
from ..processes import tree
from ..processes.tree import ProcessHandle


class Replacement:
	"""One service on its way from an old process to a new one.

	The old process is signalled and the manager brings a new one, so the service comes back by itself even if this process
	dies in between. An old process that outlives the manager's grace is killed with all its children.
	"""

	def __init__(self, manager: ProcessManager, service: Service):
		self.manager = manager
		self.old = service
		self.process: ProcessHandle | None = manager.process(service)
		self.started = False
		self.kill_at: float | None = None

	@property
	def patience_seconds(self) -> float:
		"""How long the service may be away."""
		return self.old.return_seconds

	def begin(self) -> None:
		"""Signal the old process; a service that is down is started."""
		if self.process:
			self.manager.signal(self.old, "TERM")
			self.kill_at = time.monotonic() + self.old.stop_wait_seconds

	def is_done(self, now: Service) -> bool:
		"""Move on by what the manager says now; True once a new process is up. Raises RestartError where none stays up."""
		if self.process and tree.is_alive(self.process):
			if self.kill_at and time.monotonic() > self.kill_at:
				tree.kill(tree.family(self.process))
			return False
		if now.state == "failed":
			# A manager that restarts nothing calls the end of the old process a failure: here it is started once.
			if self.started or now.started_at != self.old.started_at:
				raise RestartError(describe_failure(now))
			self._start(now)
		if now.state == "stopped":
			self._start(now)
		return now.state == "running" and now.process_identity != self.old.process_identity

	def _start(self, now: Service) -> None:
		self.manager.start(now)
		self.started = True


def describe_failure(service: Service) -> str:
	problem = f" ({service.problem})" if service.problem else ""
	path = service.log_paths[-1] if service.log_paths else ""
	log = f" Its log is {path}; see `safe-restart logs {service.kind}`." if path else ""
	return f"{service.name} does not stay up{problem}.{log}"
