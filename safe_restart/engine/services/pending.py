"""All services on their way from an old process to a new one."""

from collections.abc import Iterable

from ..core.errors import RestartError
from ..managers.base import START_TIMEOUT_SECONDS, ProcessManager, Service
from .replacement import Replacement
from .web_replacement import replacement_of


class PendingServices:
	"""All services on their way back, by name; a sentence is added to `problems` for each that fails."""

	def __init__(self, manager: ProcessManager, problems: list[str]):
		self.manager = manager
		self.problems = problems
		self.pending: dict[str, Replacement] = {}

	def expect(self, service: Service) -> Replacement:
		"""Wait for this service to come back from here on; the caller makes its process leave."""
		replacement = self.pending[service.name] = replacement_of(self.manager, service)
		return replacement

	def poll(self) -> set[str]:
		"""Move each on by one look, which also makes the manager notice exits; returns who is still away."""
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
		"""How long this one may be away."""
		return self.pending[name].patience_seconds if name in self.pending else START_TIMEOUT_SECONDS

	def give_up(self, names: Iterable[str], seconds: float) -> None:
		for name in names:
			self.pending.pop(name, None)
			self.problems.append(f"{name} was not up again after {seconds:.0f} s.")
