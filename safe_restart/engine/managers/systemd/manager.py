"""systemd, through systemctl: the units that `bench setup systemd` or pilot write, and others that run in the bench.

Where KillMode is control-group, systemd's default, a stop kills a worker together with its work-horse (FACTS 1.6). So
no unit is stopped that could have a job: its process is signalled by its pid, and the unit comes back by `Restart=`
or is started. Units are stopped, and so kept down, only for a migration, when no job runs.
"""

import os
import shutil
import signal as signals
import subprocess
import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

import psutil

from ...core import environment
from ...core.bench import Bench
from ...core.errors import RestartError, Unreachable
from ...processes import tree
from ...processes.classify import OTHER, WORKERS
from ...processes.subprocess_runner import as_owner
from ..base import Drawback, ProcessManager, Service
from . import unit_properties
from .unit_properties import Properties

SYSTEM, USER = "system", "user"

ANSWER_TIMEOUT_SECONDS = 10

PROPERTIES = (
	"Id,LoadState,ActiveState,SubState,Result,MainPID,ExecMainStartTimestampMonotonic,ExecStart,WorkingDirectory,"
	"Type,Restart,KillMode,TimeoutStopUSec,TriggeredBy,ControlGroup,FragmentPath,DropInPaths"
)


class Systemd(ProcessManager):
	"""The units of one bench in the system's systemd (scope SYSTEM), or in that of the bench's owner (scope USER)."""

	name = "systemd"

	def __init__(self, bench: Bench, scope: str):
		self.bench = bench
		self.scope = scope
		self.flags = ["--user"] if scope == USER else []
		self.address = {"XDG_RUNTIME_DIR": str(runtime_dir(bench))} if scope == USER else {}
		# A user's systemd listens to that user only, not even to root.
		environment, self.identity = as_owner(bench) if scope == USER else (os.environ, {})
		self.environment = {**environment, **self.address, "LC_ALL": "C", "SYSTEMD_COLORS": "0"}
		self.known_log_paths: dict[str, tuple[str, ...]] = {}
		# Read once, so that a process has the same start in each answer.
		self.monotonic_zero = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)

	def services(self) -> list[Service]:
		return [self.service(unit) for unit in self.units()]

	def service(self, unit: Properties) -> Service:
		"""The service that a unit is."""
		started = int(unit["ExecMainStartTimestampMonotonic"]) / 1e6
		return Service(
			name=unit["Id"],
			kind=unit_properties.kind(unit),
			state=unit_properties.state(unit, time.clock_gettime(time.CLOCK_MONOTONIC) - started),
			pid=int(unit["MainPID"]),
			started_at=self.monotonic_zero + started if started else 0,
			stop_wait_seconds=unit_properties.seconds(unit["TimeoutStopUSec"]),
			command=unit_properties.command(unit),
			log_paths=self.log_paths(unit),
			problem=unit["Result"].replace("success", ""),
		)

	def units(self) -> list[Properties]:
		"""Read this bench's units as they are now, in one call. Raises Unreachable."""
		found = self.show(*self.names) if self.names else []
		return [unit for unit in found if unit["LoadState"] == "loaded"]

	@cached_property
	def names(self) -> list[str]:
		"""The names of all units of the bench: those that systemd has loaded, and those in the bench's config/systemd.

		systemd unloads a unit that is down if no unit that is up wants it. Raises Unreachable.
		"""
		loaded = {unit["Id"]: unit for unit in self.show("--all", "*.service")}
		if missing := sorted(unit_properties.configured(self.bench) - set(loaded)):
			loaded |= {unit["Id"]: unit for unit in self.show(*missing)}
		return sorted(
			name
			for name, unit in loaded.items()
			if unit["LoadState"] == "loaded" and unit_properties.is_of(self.bench, unit)
		)

	def log_paths(self, unit: Properties) -> tuple[str, ...]:
		"""The files to which a unit writes. `systemctl show` does not name them, so its unit files are read."""
		if unit["Id"] not in self.known_log_paths:
			files = [unit["FragmentPath"], *unit["DropInPaths"].split()]
			self.known_log_paths[unit["Id"]] = unit_properties.log_files(files)
		return self.known_log_paths[unit["Id"]]

	def log_command(self, services: Iterable[Service], tail: int, follow: bool) -> list[str]:
		# Not --user-unit, with which root would be shown root's own.
		option = "_SYSTEMD_USER_UNIT" if self.scope == USER else "--unit"
		names = [f"{option}={service.name}" for service in services]
		return ["journalctl", "--no-pager", f"--lines={tail}", *names, *["--follow"] * follow]

	def is_visible(self, service: Service) -> bool:
		"""Its process is in the unit's own cgroup, as far as cgroups can be read."""
		cgroup = Path(environment.cgroup(service.pid))
		return service.name in cgroup.parts if cgroup.parts else super().is_visible(service)

	def signal(self, service: Service, signal_name: str) -> None:
		process = tree.get(tree.main_pid(service.pid)) if service.pid else None
		now = [self.service(unit) for unit in self.show(service.name)]
		# The handle was made before systemd was asked, and never signals a later process with the same pid.
		if process and now and now[0].pid == service.pid:
			try:
				process.send_signal(signals.Signals[f"SIG{signal_name}"])
			except psutil.NoSuchProcess:
				return
			except psutil.AccessDenied:
				raise RestartError(
					f"{service.name} (pid {service.pid}) may not be signalled by this user. Run this as root, or as the "
					"user that the unit runs as."
				) from None

	def start(self, service: Service) -> None:
		if service.state == "failed":
			# This also resets the count of starts that systemd limits (systemctl(1)).
			self.act("reset-failed", service.name)
		self.act("start", "--no-block", service.name)

	def stop(self, service: Service) -> None:
		self.act("stop", "--no-block", service.name)

	def restart(self, service: Service) -> None:
		"""Have systemd stop and start a unit; returns at once."""
		self.act("reset-failed", service.name)  # as in `start`
		self.act("restart", "--no-block", service.name)

	def reload(self) -> None:
		"""Have systemd read the unit files again."""
		self.act("daemon-reload")

	def act(self, verb: str, *words: str) -> None:
		"""Call systemctl. Raises RestartError where that fails, and Unreachable."""
		done = self.ask(verb, *words)
		if done.returncode:
			raise RestartError(
				f"`{self.typed(verb, *words)}` failed: {done.stderr.strip()}. See `{self.typed('status', *words[-1:])}`."
			)

	def start_command(self, service: Service | None) -> str:
		return self.typed("start", *([service.name] if service else self.names))

	def typed(self, *words: str) -> str:
		"""A call of systemctl as a person types it."""
		return " ".join(["systemctl", *self.flags, *words])

	def hindrance(self, services: Iterable[Service], must_stop: bool) -> str:
		if self.may_start_and_stop:
			return ""
		restarts = {unit["Id"]: unit["Restart"] for unit in self.units()}
		to_start = [s.name for s in services if not s.is_up or restarts.get(s.name) != "always"]
		if not must_stop and not to_start:
			return ""
		why = "a migration stops units" if must_stop else f"{to_start[0]} has to be started"
		return (
			f"{why[0].upper()}{why[1:]}, and only root may do that with the units of the system. Nothing was touched. Run "
			f"this with sudo: sudo safe-restart --bench {self.bench.path} …"
		)

	@cached_property
	def may_start_and_stop(self) -> bool:
		"""Whether systemd lets this user start and stop these units; polkit is asked where there is one."""
		if os.geteuid() == 0 or self.scope == USER:
			return True
		words = ["--action-id", "org.freedesktop.systemd1.manage-units", "--process", str(os.getpid())]
		return bool(shutil.which("pkcheck")) and not self.run(["pkcheck", *words]).returncode

	def drawbacks(self, longest_seconds: Mapping[str, int]) -> list[Drawback]:
		workers = [unit for unit in self.units() if unit_properties.kind(unit) == WORKERS]
		killed = [unit["Id"] for unit in workers if unit["KillMode"] == "control-group"]
		short = [
			unit["Id"]
			for unit in workers
			if unit_properties.seconds(unit["TimeoutStopUSec"]) < longest_seconds.get(unit["Id"], 0)
		]
		not_restarted = [unit["Id"] for unit in workers if unit["Restart"] != "always"]
		longest = max((longest_seconds[name] for name in short), default=0)
		sentences = {
			"KillMode is control-group, so a stop or restart by anybody else kills a running job at once (safe-restart does "
			"not)": killed,
			f"TimeoutStopSec is shorter than the {longest} s that jobs may take, so a plain systemctl stop kills them "
			"(safe-restart does not)": short,
			"Restart is not always, so a worker that ends well is only brought back by safe-restart; if its helper and "
			"guard are killed right then, `safe-restart recover` does it": not_restarted,
		}
		fix = f"`safe-restart setup systemd{' --user' * (self.scope == USER)}`"
		return [Drawback(f"{some(names)}: {text}", fix) for text, names in sentences.items() if names]

	def show(self, *words: str) -> list[Properties]:
		"""Read the properties of the units that `systemctl show` finds for these words. Raises Unreachable."""
		done = self.ask("show", f"--property={PROPERTIES}", *words)
		if done.returncode:
			raise Unreachable(f"systemd ({self.scope}) does not answer: {done.stderr.strip()}")
		return unit_properties.parse(done.stdout)

	def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
		"""Run systemctl with these words. Raises Unreachable where it does not end in time."""
		return self.run(["systemctl", *self.flags, "--no-pager", "--no-ask-password", *words])

	def run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
		"""Run a command as a user to whom this systemd listens. Raises Unreachable where it does not end in time."""
		try:
			return subprocess.run(
				words,
				env=self.environment,
				stdin=subprocess.DEVNULL,
				capture_output=True,
				text=True,
				errors="replace",
				timeout=ANSWER_TIMEOUT_SECONDS,
				**self.identity,
			)
		except (OSError, subprocess.SubprocessError) as error:
			raise Unreachable(f"`{' '.join(words[:2])}` does not answer ({error})") from None


def find_systemd(bench: Bench, tried: list[str]) -> list[Systemd]:
	"""The systemds that have units of this bench: of the system, of the bench's owner, both or none.

	Says in `tried` why one does not count.
	"""
	found = []
	for scope, mark in (
		(SYSTEM, Path("/run/systemd/system")),
		(USER, runtime_dir(bench) / "systemd/private"),
	):
		try:
			if not shutil.which("systemctl") or not mark.exists():
				tried.append(f"systemd ({scope}): is not there ({mark})")
				continue
			manager = Systemd(bench, scope)
			if any(service.kind != OTHER for service in manager.services()):
				found.append(manager)
			else:
				tried.append(f"systemd ({scope}): has no units of this bench")
		except (RestartError, OSError) as error:
			tried.append(str(error))
	return found


def runtime_dir(bench: Bench) -> Path:
	"""The folder in which the systemd of the bench's owner listens. A shell of sudo or su has no XDG_RUNTIME_DIR."""
	owner = bench.sites_path.stat().st_uid
	own = os.environ.get("XDG_RUNTIME_DIR") if owner == os.geteuid() else None
	return Path(own or f"/run/user/{owner}")


def some(names: list[str]) -> str:
	"""Up to three names, and how many more there are."""
	return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
