"""Process managers: what runs a bench's services, and how to make it bring one back.

A manager knows the processes; it knows nothing of jobs. Each kind is one file with one class.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .. import bench as benches
from ..bench import Bench
from ..errors import Refused

if TYPE_CHECKING:
	import psutil

	from ..queues import Look

WEB, WORKERS, SCHEDULER, SOCKETIO, REDIS, OTHER = "web", "workers", "scheduler", "socketio", "redis", "other"
KINDS = (WEB, WORKERS, SCHEDULER, SOCKETIO, REDIS)

UP = ("running", "starting")

START_TIMEOUT_SECONDS = 60  # a Frappe web or worker process boots in 1 to 10 s, on a cold disk in 30

# What bench's commands are called by, and those of them that are services: `celery worker` is none of ours.
BENCH_COMMANDS = ("bench", "frappe", "frappe.utils.bench_helper", "bench_helper.py")
VERBS = {"serve": WEB, "worker": WORKERS, "worker-pool": WORKERS, "schedule": SCHEDULER}

# How a service becomes new. EACH: its process ends, and the manager brings another. In the foreground the end of one
# process ends all: there each is replaced IN_TURN, by its name and in no other way, or all at once BY_HAND.
EACH, IN_TURN, BY_HAND = "each", "in turn", "by hand"

# Their commands name what they start, and they are no service themselves.
WRAPPERS = ("sh", "dash", "bash", "zsh", "ash", "ksh", "fish", "tmux")


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
	place: str = ""
	return_seconds: float = START_TIMEOUT_SECONDS
	starts_itself: bool = True  # with the manager (supervisor's autostart)

	@property
	def is_left_down(self) -> bool:
		"""Whether a person keeps it down: it is stopped, and would not come up with its manager either."""
		return self.state == "stopped" and not self.starts_itself

	@property
	def is_up(self) -> bool:
		return self.state in UP

	@property
	def incarnation(self) -> str:
		"""What tells this run of it from the next: the pid, or the worker's name; empty where it is down."""
		return self.worker or (str(self.pid) if self.pid else "")


@dataclass(frozen=True)
class Drawback:
	"""What would harm jobs if somebody stopped services by other means than ours, and what mends it."""

	text: str
	mend: str


class Manager(Protocol):
	"""What the engine asks of a process manager."""

	name: str
	is_seen_through_redis = False  # then there are no processes, and one look at RQ says all there is to know
	way: str = EACH

	def services(self) -> list[Service]:
		"""This bench's services as they are now. Asking also makes the manager notice exits (FACTS 2)."""

	def services_in(self, look: "Look") -> list[Service]:
		"""The same by a look at RQ that was just had, where it is seen through Redis."""

	def waiting(self, names: Iterable[str]) -> dict[str, int]:
		"""Redis client ids of those workers that wait for a job, by name, where it is seen through Redis."""

	def process(self, service: Service) -> "psutil.Process | None":
		"""The living process of a service, behind the shell if one is in front of it, or what stands for it."""
		from .. import processes

		return processes.get(processes.main_pid(service.pid)) if service.pid else None

	def signal(self, service: Service, signal_name: str) -> None:
		"""Send a signal such as TERM to the service's own process, behind the shell if one is in front of it, and to no
		other."""

	def stop(self, service: Service) -> None:
		"""Ask for a service to be stopped and kept down; returns at once."""

	def start(self, service: Service) -> None:
		"""Ask for a service that is down to be started; returns at once."""

	def start_command(self, service: Service) -> str:
		"""What a person types to start a service."""

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


class Patient:
	"""A manager that is waited for while it does not answer, as for a supervisord that died and is started again.

	`patiently` does something again while that raises Unreachable. A signal is never repeated: it may have arrived.
	"""

	def __init__(self, manager: Manager, patiently: Callable[[Callable], object]):
		self.manager, self.patiently = manager, patiently
		self.name, self.way = manager.name, manager.way
		self.is_seen_through_redis = manager.is_seen_through_redis

	def services(self) -> list[Service]:
		return self.patiently(self.manager.services)

	def services_in(self, look: "Look") -> list[Service]:
		return self.manager.services_in(look)

	def waiting(self, names: Iterable[str]) -> dict[str, int]:
		return self.manager.waiting(names)

	def process(self, service: Service) -> "psutil.Process | None":
		return self.manager.process(service)

	def signal(self, service: Service, signal_name: str) -> None:
		self.manager.signal(service, signal_name)

	def stop(self, service: Service) -> None:
		self.patiently(lambda: self.manager.stop(service))

	def start(self, service: Service) -> None:
		self.patiently(lambda: self.manager.start(service))

	def start_command(self, service: Service) -> str:
		return self.manager.start_command(service)

	def hindrance(self, services: Iterable[Service], must_stop: bool) -> str:
		return self.patiently(lambda: self.manager.hindrance(services, must_stop))

	def out_of_reach(self, kinds: Iterable[str]) -> str:
		return self.manager.out_of_reach(kinds)


def detect(bench: Bench) -> Manager:
	"""The manager that runs this bench. Raises Refused, with the mend, where none can be reached, or several have it."""
	from . import containers, foreground, supervisor, systemd

	finders = {
		"supervisor": supervisor.find,
		"systemd": systemd.find,
		"foreground": foreground.find,
		"containers": containers.find,
	}
	chosen = bench.settings.get("process_manager")
	if chosen not in (None, *finders):
		raise Refused(
			f"process_manager in sites/common_site_config.json is {chosen!r}; it can be {' or '.join(finders)}. Nothing was "
			"touched."
		)
	tried: list[str] = []
	found: list[Manager] = []
	for name in (chosen,) if chosen else finders:
		# systemd takes its time to tell all its units; bench and pilot write those of theirs into this folder. What runs in
		# a terminal beside a manager is not looked for: that manager counts.
		if not found or (bench.path / "config" / name).is_dir():
			found += finders[name](bench, tried)
	if len(found) > 1:
		# One that runs nothing here is left over from before the bench was moved to the other.
		found = [one for one in found if any(s.is_up and s.kind != OTHER for s in one.services())] or found
	if len(found) > 1:
		raise several(found)
	if not found:
		raise no_manager(bench, tried)
	return found[0]


def kind_of(command: str) -> str:
	"""Which service a command line runs, from the commands that bench writes (FACTS 2) and their relatives.

	A shell in front may go somewhere first: the last command that is known counts.
	"""
	kinds = [kind_of_words(re.findall(r"[^\s'\"]+", part)) for part in re.split(r"&&|\|\||[;|&]", command)]
	return next((kind for kind in reversed(kinds) if kind != OTHER), OTHER)


def kind_of_words(words: list[str]) -> str:
	names = [Path(word).name for word in words]
	if names[:1] == ["tmux"]:  # its command line names what it was started with
		return OTHER
	bench = next((place for place, name in enumerate(names) if name in BENCH_COMMANDS), len(names))
	verb = next((word for word in words[bench:] if word in VERBS), "")
	if any(name.startswith("gunicorn") for name in names):
		return WEB
	if verb:
		return VERBS[verb]
	if {"socketio.js", "socketio", "frappe.realtime.server"} & set(names):
		return SOCKETIO
	if any(re.match(r"(redis|valkey)-server", name) for name in names):
		return REDIS
	return OTHER


def is_wrapper(words: Sequence[str]) -> bool:
	"""Whether a command is a shell or the like, around what it names."""
	return bool(words) and Path(words[0]).name.lstrip("-") in WRAPPERS


def belongs_to(bench: Bench, command: str, directory: str) -> bool:
	"""Whether a program is this bench's: it runs in the bench, or its command names a path inside.

	Paths are compared whole, so that /home/frappe/bench does not take the programs of /home/frappe/bench-2. What runs in
	another bench is that one's, whatever it names.
	"""
	if directory.startswith("/") and (home := home_of(directory)):
		return home == bench.path
	paths = [directory, *re.findall(r"/[^\s'\"=,;:]+", command)]
	return any(is_inside(bench.path, path) for path in paths if path.startswith("/"))


def home_of(directory: str) -> Path | None:
	"""The bench that a folder lies in, if any."""
	folder = Path(directory).resolve()
	return next((one for one in (folder, *folder.parents) if benches.is_bench(one)), None)


def is_inside(folder: Path, path: str) -> bool:
	return Path(path) == folder or Path(path).resolve().is_relative_to(folder)


def several(found: list[Manager]) -> Refused:
	names = sorted({one.name for one in found})
	decide = " or ".join(f'"safe_restart": {{"process_manager": "{name}"}}' for name in names)
	return Refused(
		f"Services of this bench run under {' and '.join(names)} at once, so each would work against the other. Nothing was "
		f"touched. Stop them in one, or say in sites/common_site_config.json which one counts: {decide}."
		if len(names) > 1
		else "Services of this bench run as units of the system and of a user at once, so each would work against the other. "
		"Nothing was touched. Stop them in one: systemctl stop …, or systemctl --user stop …"
	)


def no_manager(bench: Bench, tried: list[str]) -> Refused:
	return Refused(
		f"No process manager with programs of {bench.path} was found. Nothing was touched.\n"
		+ "".join(f"  {line}\n" for line in tried)
		+ "If supervisor runs this bench, name its socket in sites/common_site_config.json: "
		'"safe_restart": {"supervisor_socket": "/path/to/supervisor.sock"}. If systemd does, load its units first: '
		"systemctl daemon-reload. `bench start` is found while it runs."
	)
