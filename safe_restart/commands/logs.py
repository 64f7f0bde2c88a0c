"""`safe-restart logs`: shows and follows the log files of a service."""

import subprocess
import time
from collections import deque
from pathlib import Path

import click

from ..engine.core.bench import Bench
from ..engine.core.errors import Refused
from ..engine.managers import detect
from ..engine.managers.base import ProcessManager, Service
from ..engine.processes.classify import KINDS

POLL_SECONDS = 0.2


def show_logs(bench: Bench, name: str, tail: int, follow: bool) -> None:
	"""Print the last lines of each log of a service, and with `follow` the lines that are added.

	Raises Refused.
	"""
	manager = detect.find_manager(bench)
	chosen = services_named(name, manager.services())
	paths = sorted({Path(path) for service in chosen for path in service.log_paths})
	if not paths:
		show_output(manager, chosen, name, tail, follow)
		return
	readable = [path for path in paths if path.is_file()]
	if not readable:
		raise Refused(f"{name} has no log file yet (looked for {', '.join(map(str, paths))}).")
	for path in readable:
		if len(readable) > 1:
			click.echo(f"==> {path} <==")
		with path.open(errors="replace") as lines:
			for line in deque(lines, maxlen=tail):
				click.echo(line.rstrip("\n"))
	if follow:
		follow_files(readable)


def services_named(name: str, services: list[Service]) -> list[Service]:
	"""The services of that kind or name; groups and `.service` may be left out.

	Raises Refused where there is none.
	"""
	chosen = [
		s
		for s in services
		if name in (s.kind, s.name, s.name.partition(":")[2], s.name.removesuffix(".service"))
	]
	if not chosen:
		known = sorted({s.kind for s in services if s.kind in KINDS} | {s.name for s in services})
		raise Refused(f"{name!r} is no service of this bench. Choose from {', '.join(known)}.")
	return chosen


def show_output(manager: ProcessManager, services: list[Service], name: str, tail: int, follow: bool) -> None:
	"""Show what services without log files print, by the manager's own command.

	Raises Refused where it has none.
	"""
	command = manager.log_command(services, tail, follow)
	if not command:
		raise Refused(f"{name} writes no log file: {manager.where_output_is()}.")
	subprocess.run(command)


def follow_files(paths: list[Path]) -> None:
	"""Print the lines that are added, also after a file was rotated, until Ctrl-C."""
	files = {path: path.open(errors="replace") for path in paths}
	for file in files.values():
		file.seek(0, 2)
	try:
		while True:
			for path, file in files.items():
				for line in file:
					click.echo(line.rstrip("\n"))
				if path.exists() and path.stat().st_size < file.tell():
					files[path] = path.open(errors="replace")
			time.sleep(POLL_SECONDS)
	except KeyboardInterrupt:
		return
