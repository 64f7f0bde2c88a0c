"""Process managers: what runs a bench's services, and how to make it bring one back.

A manager knows the processes; it knows nothing of jobs. Each kind is one file with one class.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from ..processes import tree
from ..processes.tree import ProcessHandle
from ..rq.snapshot import RqSnapshot

UP = ("running", "starting")

START_TIMEOUT_SECONDS = 60  # a Frappe web or worker process boots in 1 to 10 s, on a cold disk in 30


class RestartMode(str, Enum):
	"""How a service becomes new.

	INDIVIDUAL: its process ends, and the manager brings another. In the foreground the end of one process ends all: there
	each is replaced by its name and in no other way, one after the other (SEQUENTIAL), or a person restarts all (MANUAL).
	"""

	INDIVIDUAL = "individual"
	SEQUENTIAL = "sequential"
	MANUAL = "manual"


@dataclass(frozen=True)
class Service:
	"""One process a manager keeps. `state` is running, starting, stopping, stopped, backoff or failed.

	`stop_wait_seconds` is the manager's grace between its stop signal and the kill. A stopped service has pid 0.
	worker: RQ's name of the worker inside, where the process itself is out of reach
	place: what it shares with others, so that all of them can only be told to go together
	return_seconds: how long it may take to be up again
	"""

	name: str
	kind: str
	state: str
	pid: int
	started_at: float
	stop_wait_seconds: int
	command: str
	log_paths: tuple[str, ...]
	problem: str = ""
	worker: str = ""
	shared_address: str = ""
	return_seconds: float = START_TIMEOUT_SECONDS
	starts_itself: bool = True  # with the manager (supervisor's autostart)

	@property
	def is_intentionally_stopped(self) -> bool:
		"""Whether a person keeps it down: it is stopped, and would not come up with its manager either."""
		return self.state == "stopped" and not self.starts_itself

	@property
	def is_up(self) -> bool:
		return self.state in UP

	@property
	def process_identity(self) -> str:
		"""What tells this run of it from the next: the pid, or the worker's name; empty where it is down."""
		return self.worker or (str(self.pid) if self.pid else "")


@dataclass(frozen=True)
class Drawback:
	"""What would harm jobs if somebody stopped services by other means than ours, and what mends it."""

	text: str
	fix: str


class ProcessManager(ABC):
	"""What the engine asks of a process manager. What is not abstract has a default that holds for most of them."""

	name: str
	is_seen_through_redis = False  # then there are no processes, and one look at RQ says all there is to know
	restart_mode = RestartMode.INDIVIDUAL

	@abstractmethod
	def services(self) -> list[Service]:
		"""This bench's services as they are now. Asking also makes the manager notice exits (FACTS 2)."""

	@abstractmethod
	def signal(self, service: Service, signal_name: str) -> None:
		"""Send a signal such as TERM to the service's own process, behind the shell if one is in front of it, and to no
		other."""

	@abstractmethod
	def stop(self, service: Service) -> None:
		"""Ask for a service to be stopped and kept down; returns at once."""

	@abstractmethod
	def start(self, service: Service) -> None:
		"""Ask for a service that is down to be started; returns at once."""

	@abstractmethod
	def start_command(self, service: Service | None) -> str:
		"""What a person types to start a service; None stands for all of them."""

	def services_in(self, snapshot: RqSnapshot) -> list[Service]:
		"""The services by a look at RQ that was just had. Only where the manager is seen through Redis."""
		raise NotImplementedError

	def waiting(self, names: Iterable[str]) -> dict[str, int]:
		"""Redis client ids of those workers that wait for a job, by name. Only where the manager is seen through Redis."""
		raise NotImplementedError

	def is_visible(self, service: Service) -> bool:
		"""Whether a process of that pid can be seen from here, and is what this manager runs as that service."""
		return tree.get(service.pid) is not None

	def process(self, service: Service) -> ProcessHandle | None:
		"""The living process of a service, behind the shell if one is in front of it, or what stands for it."""
		return tree.get(tree.main_pid(service.pid)) if service.pid else None

	def log_command(self, services: Iterable[Service], tail: int, follow: bool) -> list[str]:
		"""The command that shows what these services said, where they write no files; empty where there is none."""
		return []

	def where_output_is(self) -> str:
		"""A sentence, for services that write no files and where there is no such command."""
		return "none is configured"

	def hindrance(self, services: Iterable[Service], must_stop: bool) -> str:
		"""Why this user cannot bring these services down and up again, as a sentence; empty where nothing is in the way.

		must_stop: they have to be kept down for a while.
		"""
		return ""

	def out_of_reach(self, kinds: Iterable[str]) -> str:
		"""Which of these kinds it cannot replace, and what does, as a sentence; empty where there is none."""
		return ""

	def drawbacks(self, longest_seconds: Mapping[str, int]) -> Iterable[Drawback]:
		"""What is unsafe about the workers; longest_seconds is what their jobs may take, by the service's name."""
		return []
