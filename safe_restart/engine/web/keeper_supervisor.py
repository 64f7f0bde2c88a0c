"""The web's command in bench's supervisor.conf. supervisor loads a change by a stop and start of the web's group."""

import re
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from ..core.bench import Bench
from ..core.errors import Refused
from ..core.files import write_atomically
from ..core.waiting import wait_until
from ..managers.base import Service
from ..managers.supervisor import Supervisor
from ..processes.classify import WEB, kind_of
from . import keeper_change
from .keeper import keeper_of
from .keeper_change import Change, Setup

CONFIG = "config/supervisor.conf"
BACKUP_SUFFIX = ".before-setup-web"

# What bench writes for the web program, and what makes no difference; with values where only some are understood.
OPTIONS: dict[str, tuple[str, ...]] = {
	"command": (),
	"directory": (),
	"user": (),
	"priority": (),
	"environment": (),
	"autostart": (),
	"autorestart": (),
	"startretries": (),
	"startsecs": (),
	"stopwaitsecs": (),
	"killasgroup": (),
	"redirect_stderr": (),
	"stdout_logfile": (),
	"stderr_logfile": (),
	"stdout_logfile_maxbytes": (),
	"stdout_logfile_backups": (),
	"stderr_logfile_maxbytes": (),
	"stderr_logfile_backups": (),
	"stopsignal": ("term",),
	"stopasgroup": ("false",),
	"numprocs": ("1",),
}


@dataclass(frozen=True)
class Program:
	"""The web program in a configuration file; `line` is the number of the line with its command, from 0."""

	name: str
	options: dict[str, str]
	line: int

	@property
	def command(self) -> str:
		return self.options["command"]


class SupervisorSetup(Setup):
	"""The setup under supervisor."""

	manager: Supervisor
	restarts = "the web and socketio"

	def plan(self, undo: bool = False) -> Change:
		return plan(self.bench, undo)

	def write(self, change: Change, note: Callable[[str], None]) -> None:
		if change.before != change.after and not keeper_of(change.before):
			write_atomically(Path(f"{change.path}{BACKUP_SUFFIX}"), change.before, like=change.path)
		write_atomically(change.path, change.after, like=change.path)
		try:
			self.check_loading(change.path, note)
		except BaseException:
			write_atomically(change.path, change.before, like=change.path)
			raise

	def check_loading(self, path: Path, note: Callable[[str], None]) -> None:
		"""Let supervisor read its files. Raises Refused where it cannot, or where it has the web from another file."""
		group = group_of(keeper_change.web_of(self.manager))
		try:
			changed = self.reread()
		except xmlrpc.client.Fault as fault:
			raise Refused(
				f"supervisor cannot read its configuration: {fault.faultString}. {CONFIG} is as it was; nothing was "
				"restarted. Fix that and try again."
			) from None
		if group not in changed:
			raise Refused(
				f"supervisor does not read {path}: it runs {group} from another file. That file is as it was, and nothing "
				"was restarted. Link it into supervisor's folder, as `bench setup production` does."
			)
		if others := sorted(changed - {group}):
			note(
				f"supervisor's files have changes for {', '.join(others)} too; those were left for `supervisorctl update`"
			)

	def put_back(self, change: Change) -> None:
		write_atomically(change.path, change.before, like=change.path)
		self.reread()

	def reread(self) -> set[str]:
		"""Let supervisor read its files; returns the groups in which they differ from what runs."""
		[[added, changed, _]] = self.manager.call("reloadConfig")
		return {*added, *changed}

	def restart(self, service: Service) -> None:
		"""Do what `supervisorctl update` does, for the web's group alone.

		A group that was stopped is started again whatever happens; what a person had started in it is started too.
		"""
		group = group_of(service)
		by_hand = [
			one
			for one in self.manager.services()
			if one.name.startswith(f"{group}:") and one.pid and not one.starts_itself
		]
		self.manager.call("stopProcessGroup", group, False)
		try:
			self.wait_stopped(group)
		except BaseException:
			self.manager.call("startProcessGroup", group, False)
			raise
		try:
			self.manager.call("removeProcessGroup", group)
		finally:
			self.manager.call("addProcessGroup", group)
		for one in by_hand:
			self.manager.start(one)

	def wait_stopped(self, group: str) -> None:
		"""Wait until nothing of the group runs; supervisor itself kills what outlasts its grace."""

		def is_stopped() -> bool:
			return not any(
				info["pid"] or info["statename"] == "STOPPING"
				for info in self.manager.call("getAllProcessInfo")
				if info["group"] == group
			)

		wait_until(is_stopped, inf)

	def tidy(self) -> None:
		"""Remove the backup, unless the configuration differs from it now."""
		config = config_path(self.bench)
		backup = Path(f"{config}{BACKUP_SUFFIX}")
		if backup.exists() and backup.read_text() == config.read_text():
			backup.unlink()

	def what_is_gone(self, service: Service) -> str:
		try:
			is_written = bool(keeper_of(find_program(config_path(self.bench).read_text()).command))
		except (Refused, OSError):
			is_written = False
		return "" if is_written else f"{CONFIG} was written anew without the web's keeper"


def group_of(service: Service) -> str:
	return service.name.partition(":")[0]


def config_path(bench: Bench) -> Path:
	"""The file itself: bench links it into supervisor's own folder, or supervisor's file into its own."""
	return (bench.path / CONFIG).resolve()


def plan(bench: Bench, undo: bool = False) -> Change:
	"""The change of supervisor.conf, as Setup.plan says."""
	path = config_path(bench)
	try:
		text = path.read_text()
	except OSError as error:
		raise Refused(
			f"{path} cannot be read ({error.strerror}). Nothing was touched. Type `bench setup supervisor`, which writes it."
		) from None
	program = find_program(text)
	bare = keeper_change.without_keeper(program.command)
	if undo:
		return Change(path, text, with_command(text, program, bare))
	options = program.options | {"command": bare}
	gunicorn = keeper_change.understand(bench, bare, options.get("directory", ""), options.items(), OPTIONS)
	after = with_command(text, program, keeper_change.with_keeper(bench, gunicorn, bare))
	return Change(path, text, after, keeper_change.warnings_of(gunicorn))


def find_program(text: str) -> Program:
	"""The program that serves the web. Raises Refused where there is none, or several."""
	found = [p for p in read_programs(text) if p.command and kind_of(p.command) == WEB]
	if len(found) != 1:
		raise Refused(
			f"{CONFIG} has {len(found) or 'no'} web programs, and setup web understands one. Nothing was touched."
		)
	return found[0]


def read_programs(text: str) -> list[Program]:
	"""All programs in the text of a supervisor.conf."""
	programs: list[Program] = []
	in_program = False
	for number, line in enumerate(text.splitlines()):
		if header := re.match(r"\[(.+)\]", line):
			in_program = header[1].startswith("program:")
			if in_program:
				programs.append(Program(header[1].removeprefix("program:"), {"command": ""}, 0))
		elif in_program and (pair := re.match(r"([\w]+)\s*[=:]\s*(.*?)\s*$", line)):
			programs[-1].options[pair[1]] = pair[2]
			if pair[1] == "command":
				programs[-1] = replace(programs[-1], line=number)
		elif in_program and re.match(r"\s+\S", line):
			programs[-1].options["a line that goes on"] = line.strip()
	return programs


def with_command(text: str, program: Program, command: str) -> str:
	"""The text of a supervisor.conf with another command for one program."""
	lines = text.splitlines(True)
	if command != program.command:
		lines[program.line] = lines[program.line].replace(program.command, command)
	return "".join(lines)
