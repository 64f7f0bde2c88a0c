"""bench's supervisor.conf with and without the web's keeper. Reads files, touches nothing.

All that differs is the beginning of one command. setup_web.py writes and loads it.
"""

import difflib
import re
from dataclasses import dataclass, replace
from pathlib import Path

from . import gunicorn_words
from .bench import Bench
from .errors import Refused
from .managers import WEB, Service, kind_of
from .swap import KEEPER, keeper_of

CONFIG = "config/supervisor.conf"
BACKUP_SUFFIX = ".before-setup-web"
MEND = "`safe-restart setup web`"

# What bench writes for the web program, and what does not matter to it. Values, where only some are understood.
OPTIONS = {
	"command": "",
	"directory": "",
	"user": "",
	"priority": "",
	"environment": "",
	"autostart": "",
	"autorestart": "",
	"startretries": "",
	"startsecs": "",
	"stopwaitsecs": "",
	"killasgroup": "",
	"redirect_stderr": "",
	"stdout_logfile": "",
	"stderr_logfile": "",
	"stdout_logfile_maxbytes": "",
	"stdout_logfile_backups": "",
	"stderr_logfile_maxbytes": "",
	"stderr_logfile_backups": "",
	"stopsignal": "TERM",
	"stopasgroup": "false",
	"numprocs": "1",
}


@dataclass(frozen=True)
class Program:
	"""The web program as a configuration file tells it; `line` is the number of its command's line, from 0."""

	name: str
	options: dict[str, str]
	line: int

	@property
	def command(self) -> str:
		return self.options["command"]

	@property
	def is_kept(self) -> bool:
		return keeper_of(self.command) is not None


@dataclass(frozen=True)
class Change:
	"""One file as it is and as it is to be; equal where there is nothing to do. `warnings` are sentences."""

	path: Path
	program: str
	before: str
	after: str
	warnings: tuple[str, ...] = ()

	@property
	def diff(self) -> str:
		lines = difflib.unified_diff(
			self.before.splitlines(True), self.after.splitlines(True), str(self.path), "as it is to be", n=1
		)
		return "".join(lines)


def keeper_path(bench: Bench) -> Path:
	return bench.path / "config" / KEEPER


def config_path(bench: Bench) -> Path:
	# bench links it into supervisor's own folder, or that the other way round
	return (bench.path / CONFIG).resolve()


def plan(bench: Bench, undo: bool = False) -> Change:
	"""The change that puts the keeper in front of gunicorn, or away. Raises Refused for what is not understood."""
	path = config_path(bench)
	try:
		text = path.read_text()
	except OSError as error:
		raise Refused(
			f"{path} cannot be read ({error.strerror}). Nothing was touched. `bench setup supervisor` writes it; setup web "
			"is for supervisor only so far."
		) from None
	program = find_program(text)
	change = Change(path, program.name, text, text)
	if undo:
		return replace(change, after=with_command(text, program, bare(program.command)))
	bare_command = bare(program.command)
	gunicorn = understand(bench, replace_command(program, bare_command))
	kept = f"{gunicorn.python} -I -S {keeper_path(bench)} {bare_command}"
	return replace(change, after=with_command(text, program, kept), warnings=warnings_of(gunicorn))


def warnings_of(gunicorn: gunicorn_words.Gunicorn) -> tuple[str, ...]:
	if gunicorn.worker_class == "sync":
		return ()
	return (
		"gunicorn's gthread workers (--threads) drop a few requests that they have accepted when they are stopped, "
		"whoever holds the socket: a restart then costs 1 to 3 requests instead of none. Without --threads it costs none.",
	)


def find_program(text: str) -> Program:
	"""The one program that serves the web. Raises Refused where there is none, or several."""
	found = [p for p in read_programs(text) if p.command and kind_of(p.command) == WEB]
	if len(found) != 1:
		raise Refused(
			f"{CONFIG} has {len(found) or 'no'} web programs, and setup web understands one. Nothing was touched."
		)
	return found[0]


def read_programs(text: str) -> list[Program]:
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


def understand(bench: Bench, program: Program) -> gunicorn_words.Gunicorn:
	"""Raises Refused unless every line of the program is one that bench writes, or that makes no difference."""
	for option, value in program.options.items():
		only = OPTIONS.get(option)
		if only is None or (only and value.lower() != only.lower()):
			raise gunicorn_words.not_understood(f"it has {option}={value}")
	if Path(program.options.get("directory", "")).resolve() != bench.sites_path:
		raise gunicorn_words.not_understood(f"it does not run in {bench.sites_path}")
	gunicorn = gunicorn_words.read(program.command)
	if gunicorn.port != bench.web_port:
		raise gunicorn_words.not_understood(
			f"it listens on port {gunicorn.port}, but webserver_port in common_site_config.json is {bench.web_port}"
		)
	if not Path(gunicorn.python).exists():
		raise gunicorn_words.not_understood(f"{gunicorn.python} is not there")
	if " " in str(bench.path):
		raise gunicorn_words.not_understood("the bench's path has a space")
	return gunicorn


def bare(command: str) -> str:
	"""The command without the keeper: it stands before gunicorn's own words and changes none of them."""
	return re.sub(rf"^\S+ -I -S \S*{re.escape(KEEPER)} ", "", command)


def replace_command(program: Program, command: str) -> Program:
	return replace(program, options=program.options | {"command": command})


def with_command(text: str, program: Program, command: str) -> str:
	lines = text.splitlines(True)
	if command != program.command:
		lines[program.line] = lines[program.line].replace(program.command, command)
	return "".join(lines)


def keeper_text() -> str:
	return (Path(__file__).parents[1] / KEEPER).read_text()


def what_is_lost(bench: Bench, services: list[Service]) -> str:
	"""What to say where `setup web` was done and is in force no more, or not yet; empty where all is well. MEND mends it."""
	if not keeper_path(bench).exists():
		return ""
	web = [service for service in services if service.kind == WEB]
	runs = bool(web) and all(keeper_of(service.command) for service in web)
	try:
		is_written = find_program(config_path(bench).read_text()).is_kept
	except (Refused, OSError):
		is_written = False
	if runs and is_written:
		return ""
	if runs:
		return f"{CONFIG} was written anew without the web's keeper, and the next `supervisorctl update` takes it away"
	why = "supervisor has not loaded it" if is_written else f"{CONFIG} was written anew without it"
	return f"`setup web` was done here and is not in force, since {why}: the web is away while it boots"
