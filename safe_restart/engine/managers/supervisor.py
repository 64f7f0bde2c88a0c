"""Supervisor, over its XML-RPC (supervisord.org/api.html).

A service is replaced by a signal to its process and not by stopProcess: supervisor then starts it again, even if the
helper dies in between. Workers are stopped by stopProcess, and so kept down, only for a migration.
"""

import configparser
import glob
import http.client
import os
import pwd
import signal
import xmlrpc.client
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from supervisor.xmlrpc import SupervisorTransport

from ..core.bench import Bench
from ..core.errors import RestartError, Unreachable
from ..processes import tree
from ..processes.classify import OTHER, belongs_to, kind_of
from .base import Drawback, ProcessManager, Service

# Where Debian, Red Hat, pip and Homebrew put it (supervisord.org/configuration.html#configuration-file)
CONFIG_FILES = (
	"/etc/supervisor/supervisord.conf",
	"/etc/supervisord.conf",
	"/etc/supervisor.conf",
	"/usr/etc/supervisord.conf",
	"/usr/local/etc/supervisord.conf",
)
SYSTEM_SOCKETS = (
	"/run/supervisor.sock",
	"/var/run/supervisor.sock",
	"/run/supervisor/supervisor.sock",
	"/var/run/supervisor/supervisor.sock",
	"/tmp/supervisor.sock",
)
BENCH_SOCKET = "config/supervisor/supervisord.sock"  # of a bench's own supervisord (frappe/pilot)

ANSWER_TIMEOUT_SECONDS = 10

# What a call raises where supervisord dies while it answers
BROKEN = (
	OSError,
	http.client.HTTPException,
	xmlrpc.client.ProtocolError,
	xmlrpc.client.ResponseError,
	ExpatError,
	ValueError,
)

STATES = {
	0: "stopped",
	10: "starting",
	20: "running",
	30: "backoff",
	40: "stopping",
	100: "stopped",  # EXITED
	200: "failed",  # FATAL
	1000: "failed",  # UNKNOWN
}


class Transport(SupervisorTransport):
	"""Supervisor's own transport, with a timeout for a supervisord that does not answer."""

	_get_connection: Callable[[], http.client.HTTPConnection]

	def __init__(self, username: str | None, password: str | None, server_url: str):
		super().__init__(username, password, server_url)
		connect = self._get_connection

		def get_connection() -> http.client.HTTPConnection:
			connection = connect()
			connection.timeout = ANSWER_TIMEOUT_SECONDS
			return connection

		self._get_connection = get_connection


class Supervisor(ProcessManager):
	"""The programs of one bench that one supervisord runs."""

	name = "supervisor"

	def __init__(self, bench: Bench, server_url: str, username: str = "", password: str = ""):
		self.bench = bench
		self.server_url = server_url
		transport = Transport(username or None, password or None, server_url)
		self.proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)

	def services(self) -> list[Service]:
		now = {f"{info['group']}:{info['name']}": info for info in self.call("getAllProcessInfo")}
		return [
			replace(
				service,
				state=STATES[now[service.name]["state"]],
				pid=now[service.name]["pid"],
				started_at=now[service.name]["start"],
				problem=now[service.name]["spawnerr"],
			)
			for service in self.programs
			if service.name in now
		]

	@cached_property
	def programs(self) -> list[Service]:
		"""This bench's programs as they are configured. Raises Unreachable."""
		return [
			Service(
				name=f"{config['group']}:{config['name']}",
				kind=kind_of(config["command"]),
				state="stopped",
				pid=0,
				started_at=0,
				stop_wait_seconds=config["stopwaitsecs"],
				command=config["command"],
				log_paths=tuple(
					path
					for path in (config["stdout_logfile"], config["stderr_logfile"])
					if path.startswith("/")
				),
				starts_itself=config["autostart"],
			)
			for config in self.call("getAllConfigInfo")
			if config["inuse"] and belongs_to(self.bench, config["command"], config["directory"])
		]

	def is_visible(self, service: Service) -> bool:
		"""Its process is a child of supervisord's own; in another pid namespace both numbers mean something else."""
		process = tree.get(service.pid)
		return process is not None and tree.parent_pid(process) == self.call("getPID")

	def signal(self, service: Service, signal_name: str) -> None:
		"""Send a signal to the process of a service; none where that has ended.

		By its pid, since a supervisord that was started anew in between has another process by that name. By name
		only where this user may not signal the process.
		"""
		try:
			if service.pid:
				os.kill(tree.main_pid(service.pid), signal.Signals[f"SIG{signal_name}"])
		except ProcessLookupError:
			return
		except PermissionError:
			self.act("signal", service, signal_name, done_already=("NOT_RUNNING", "NO_SUCH"))

	def start(self, service: Service) -> None:
		self.act("start", service, False, done_already=("ALREADY_STARTED",))

	def stop(self, service: Service) -> None:
		self.act("stop", service, False, done_already=("NOT_RUNNING",))

	def act(self, verb: str, service: Service, argument: object, done_already: tuple[str, ...]) -> None:
		"""Have supervisord start, stop or signal a service. Raises RestartError where supervisord refuses.

		done_already: the faults by which supervisord says that there is nothing to do
		"""
		try:
			self.call(f"{verb}Process", service.name, argument)
		except xmlrpc.client.Fault as fault:
			if not any(name in fault.faultString for name in done_already):
				raise RestartError(
					f"supervisor could not {verb} {service.name}: {fault.faultString}"
				) from None

	def start_command(self, service: Service | None) -> str:
		return f"supervisorctl start {service.name if service else 'all'}"

	def drawbacks(self, longest_seconds: Mapping[str, int]) -> list[Drawback]:
		return [
			Drawback(
				f"{program.name}: stopwaitsecs is {program.stop_wait_seconds}, shorter than the "
				f"{longest_seconds[program.name]} s its jobs may take: a plain supervisorctl stop kills them (safe-restart "
				"does not)",
				f"set stopwaitsecs={longest_seconds[program.name] + 60} in the supervisor config, then `supervisorctl update`",
			)
			for program in self.programs
			if program.stop_wait_seconds < longest_seconds.get(program.name, 0)
		]

	def call(self, method: str, *args: object) -> Any:
		"""Call a method of supervisord. Raises Unreachable where it does not answer, and xmlrpc.client.Fault.

		A second attempt follows the first: the connection is closed where supervisord was restarted in between.
		"""
		for attempt in (1, 2):
			try:
				return getattr(self.proxy.supervisor, method)(*args)
			except xmlrpc.client.Fault as fault:
				if "SHUTDOWN_STATE" not in fault.faultString:
					raise
				raise Unreachable(f"supervisord at {self.server_url} is shutting down") from None
			except BROKEN as error:
				self.proxy("close")()
				if attempt == 2:
					raise Unreachable(f"supervisord at {self.server_url} does not answer ({error})") from None


def find_supervisor(bench: Bench, tried: list[str]) -> list[Supervisor]:
	"""The supervisord that has programs of this bench, as a list of at most one.

	Says in `tried` why others do not count, for instance that this user may not talk to one.
	"""
	addresses = present(bench)
	for url, username, password in addresses:
		supervisor = Supervisor(bench, url, username, password)
		try:
			services = supervisor.programs
		except RestartError as error:
			tried.append(fix_for(Path(url.removeprefix("unix://")), error))
			continue
		if any(service.kind != OTHER for service in services):
			return [supervisor]
		tried.append(f"{url}: has no programs of this bench")
	if not addresses:
		tried.append("supervisor: no socket was found")
	return []


def fix_for(path: Path, error: Exception) -> str:
	"""What a person does about an error of the supervisord at a socket."""
	text = str(error)
	if "Permission denied" in text:
		return (
			f"{path}: this user may not talk to supervisor (the socket belongs to {owner_of(path)}). Run this with sudo, or let "
			"the bench's user in: under [unix_http_server] in supervisord.conf set chown=<bench user>:<bench user> and "
			"chmod=0700, then `sudo systemctl restart supervisor` at a quiet moment."
		)
	if "401" in text:
		return f"{path}: supervisor asks for a password; set [supervisorctl] username and password in its config file"
	return text


def owner_of(path: Path) -> str:
	"""The name of a file's owner."""
	try:
		return pwd.getpwuid(path.stat().st_uid).pw_name
	except (KeyError, OSError):
		return "another user"


def present(bench: Bench) -> list[tuple[str, str, str]]:
	"""The candidates at which a supervisord may listen: those whose socket exists, and those that are not local."""
	return [
		(url, username, password)
		for url, username, password in candidates(bench)
		if not url.startswith("unix://") or os.path.exists(url.removeprefix("unix://"))
	]


def candidates(bench: Bench) -> Iterator[tuple[str, str, str]]:
	"""Server URL, user name and password of each place where a supervisord may listen, the likeliest first."""
	configured = bench.settings.supervisor_socket
	if configured:
		yield as_url(configured), "", ""
		return
	yield f"unix://{bench.path / BENCH_SOCKET}", "", ""
	for file in CONFIG_FILES:
		yield from urls_in(file)
	for socket in SYSTEM_SOCKETS:
		yield f"unix://{socket}", "", ""


def urls_in(config_file: str) -> Iterator[tuple[str, str, str]]:
	"""Server URL, user name and password as a supervisord.conf and the files that it includes give them."""
	parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";",))
	try:
		if not parser.read(config_file):
			return
		if parser.has_option("include", "files"):
			for pattern in parser.get("include", "files").split():
				parser.read(glob.glob(str(Path(config_file).parent / pattern)))
	except (OSError, configparser.Error, UnicodeDecodeError):
		return
	ctl = dict(parser["supervisorctl"]) if parser.has_section("supervisorctl") else {}
	for section, option in (("supervisorctl", "serverurl"), ("unix_http_server", "file")):
		if parser.has_option(section, option):
			value = parser.get(section, option).replace("%(here)s", str(Path(config_file).parent))
			username = ctl.get("username") or parser.get(section, "username", fallback="") or ""
			password = ctl.get("password") or parser.get(section, "password", fallback="") or ""
			yield as_url(value), username, password


def as_url(value: str) -> str:
	"""The URL of a socket that is given by its path or its URL."""
	return value if "://" in value else f"unix://{value}"
