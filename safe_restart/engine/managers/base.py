"""What the engine asks of a process manager: its services as they are now, and how to stop and start one.

A process manager knows processes and nothing of jobs. Each kind has one file with one class.
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
	"""How services become new.

	INDIVIDUAL: the process of a service ends, and the manager starts another one.
	SEQUENTIAL: the manager replaces services by their names, one after the other. Any other end of a process ends all.
	MANUAL: the end of one process ends all, so a person restarts all at once.
	"""

	INDIVIDUAL = "individual"
	SEQUENTIAL = "sequential"
	MANUAL = "manual"


@dataclass(frozen=True)
class Service:
	"""One process that a manager starts and brings back.

	kind: one of KINDS in processes/classify.py, or OTHER
	state: running, starting, stopping, stopped, backoff or failed
	pid: 0 where it is down, or where the process is out of reach
	started_at: seconds since the epoch; 0 where it is down
	stop_wait_seconds: between the manager's stop signal and its kill
	problem: what the manager says is wrong with it; empty for nothing
	worker: RQ's name of the worker inside, where the process is out of reach
	shared_address: the IP address that it shares with others, so that all of them can only be asked to stop together
	return_seconds: how long it may take to be up again
	starts_itself: whether it comes up with the manager (supervisor's autostart)
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
	starts_itself: bool = True

	@property
	def is_intentionally_stopped(self) -> bool:
		"""Whether a person wants it down: it is stopped, and would not come up with its manager either."""
		return self.state == "stopped" and not self.starts_itself

	@property
	def is_up(self) -> bool:
		"""Whether it runs, or is being started."""
		return self.state in UP

	@property
	def process_identity(self) -> str:
		"""What the next process of this service will not share: its pid or worker's name; empty where it is down."""
		return self.worker or (str(self.pid) if self.pid else "")


@dataclass(frozen=True)
class Drawback:
	"""What would harm jobs if services were stopped by other means than this tool, and what fixes that."""

	text: str
	fix: str


class ProcessManager(ABC):
	"""A process manager with the services of one bench. Methods that are not abstract have a default that fits most.

	Each method that asks the manager raises Unreachable where the manager does not answer.
	"""

	name: str
	# Where this is true, processes are out of reach, and a snapshot of RQ says all that can be known.
	is_seen_through_redis = False
	restart_mode = RestartMode.INDIVIDUAL

	@abstractmethod
	def services(self) -> list[Service]:
		"""Read this bench's services as they are now. This also makes supervisord notice exits at once (FACTS 2.20)."""

	@abstractmethod
	def signal(self, service: Service, signal_name: str) -> None:
		"""Send a signal such as TERM to the service's own process and to no other.

		Where that process has a shell around it, the process inside gets the signal.
		"""

	@abstractmethod
	def stop(self, service: Service) -> None:
		"""Ask the manager to stop a service and not to start it again; returns at once."""

	@abstractmethod
	def start(self, service: Service) -> None:
		"""Ask the manager to start a service that is down; returns at once."""

	@abstractmethod
	def start_command(self, service: Service | None) -> str:
		"""What a person types to start a service, or with None all services."""

	def services_in(self, snapshot: RqSnapshot) -> list[Service]:
		"""The services by a snapshot of RQ that was just read. Only where `is_seen_through_redis`."""
		raise NotImplementedError

	def waiting(self, names: Iterable[str]) -> dict[str, int]:
		"""Redis client ids of those workers that wait for a job, by name. Only where `is_seen_through_redis`."""
		raise NotImplementedError

	def is_visible(self, service: Service) -> bool:
		"""Whether a process of that pid can be seen from here, and is what this manager runs as that service."""
		return tree.get(service.pid) is not None

	def process(self, service: Service) -> ProcessHandle | None:
		"""The living process of a service, inside a shell around it if there is one; or what represents it."""
		return tree.get(tree.main_pid(service.pid)) if service.pid else None

	def log_command(self, services: Iterable[Service], tail: int, follow: bool) -> list[str]:
		"""The command that shows the output of services that write no files; empty where there is none."""
		return []

	def where_output_is(self) -> str:
		"""Where to find the output of services where `log_command` is empty, as the end of a sentence."""
		return "none is configured"

	def hindrance(self, services: Iterable[Service], must_stop: bool) -> str:
		"""Why this user cannot have these services stopped and started, as sentences; empty if nothing prevents it.

		must_stop: whether they have to stay down for a while
		"""
		return ""

	def out_of_reach(self, kinds: Iterable[str]) -> str:
		"""Which of these kinds of services cannot be replaced from here, and what does so, as sentences; or empty."""
		return ""

	def drawbacks(self, longest_seconds: Mapping[str, int]) -> Iterable[Drawback]:
		"""What is unsafe about the workers.

		longest_seconds: how long their jobs may take, by the names of services
		"""
		return []
