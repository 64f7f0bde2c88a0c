"""The services that are on their way from an old process to a new one."""

from collections.abc import Iterable

from ..core.errors import RestartError
from ..managers.base import START_TIMEOUT_SECONDS, ProcessManager, Service
from .replacement import Replacement
from .web_replacement import replacement_of


class PendingServices:
	"""Follows services that are to come back, by their names.

	problems: a sentence is appended for each service that does not come back
	"""

	def __init__(self, manager: ProcessManager, problems: list[str]):
		self.manager = manager
		self.problems = problems
		self.pending: dict[str, Replacement] = {}

	def expect(self, service: Service) -> Replacement:
		"""Follow this service from here on; the caller makes its process end."""
		replacement = self.pending[service.name] = replacement_of(self.manager, service)
		return replacement

	def poll(self) -> set[str]:
		"""Read the services once and move each replacement on; returns the names of those that are still away.

		Reading also makes the manager notice exits (FACTS 2.20).
		"""
		for service in self.manager.services():
			if replacement := self.pending.get(service.name):
				try:
					if replacement.is_done(service):
						del self.pending[service.name]
				except RestartError as error:
					self.problems.append(str(error))
					del self.pending[service.name]
		return set(self.pending)

	def patience_seconds(self, name: str) -> float:
		"""How long this service may be away."""
		return self.pending[name].patience_seconds if name in self.pending else START_TIMEOUT_SECONDS

	def give_up(self, names: Iterable[str], seconds: float) -> None:
		"""Follow these services no longer, and name each as a problem; `seconds` is how long they were waited for."""
		for name in names:
			self.pending.pop(name, None)
			self.problems.append(f"{name} was not up again after {seconds:.0f} s.")
