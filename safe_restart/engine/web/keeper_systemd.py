"""The web's unit under systemd: a drop-in starts it through the keeper, and bench's own unit file is not touched.

Nothing but ExecStart differs, so the unit is stopped as before. Where its KillMode is control-group, systemd's default,
keeper and gunicorns get SIGTERM at the same time, and each gunicorn finishes its requests, as it does without a keeper;
with mixed the keeper passes SIGTERM on. The keeper ends when all gunicorns have ended.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from ..core.errors import Refused
from ..managers.base import Service
from ..managers.systemd import dropins, unit_properties
from ..managers.systemd.dropins import DropIn
from ..managers.systemd.manager import Systemd
from ..managers.systemd.unit_properties import Properties
from . import keeper_change
from .gunicorn_command import not_understood
from .keeper import keeper_of
from .keeper_change import COMMAND, Change, Setup, web_of

FILE = "safe-restart-web.conf"

# What bench and pilot write for the web, and what makes no difference; with values where only some are understood. With
# Type=notify systemd would wait for a message from the keeper, which sends none.
SETTINGS: dict[str, tuple[str, ...]] = {
	"ExecStart": (),
	"WorkingDirectory": (),
	"User": (),
	"Group": (),
	"SupplementaryGroups": (),
	"UMask": (),
	"Environment": (),
	"EnvironmentFile": (),
	"StandardOutput": (),
	"StandardError": (),
	"SyslogIdentifier": (),
	"Restart": (),
	"RestartSec": (),
	"TimeoutSec": (),
	"TimeoutStartSec": (),
	"TimeoutStopSec": (),
	"TimeoutStopFailureMode": (),
	"Nice": (),
	"CPUWeight": (),
	"IOWeight": (),
	"LimitNOFILE": (),
	"LimitNPROC": (),
	"OOMScoreAdjust": (),
	"PrivateTmp": (),
	"NoNewPrivileges": (),
	"Type": ("simple", "exec"),
	"KillMode": ("control-group", "mixed"),
	"KillSignal": ("sigterm", "15"),
	"ExecReload": ("/bin/kill -s hup $mainpid", "/usr/bin/kill -s hup $mainpid"),
}


class SystemdSetup(Setup):
	"""The setup under systemd."""

	manager: Systemd

	def plan(self, undo: bool = False) -> Change:
		dropins.check_rights(self.manager, COMMAND)
		unit = self.unit(web_of(self.manager))
		path = self.path(unit["Id"])
		dropins.check_file(path, COMMAND)
		before = dropins.read(path)
		if undo:
			return Change(path, before, "")
		if why := why_not(unit):
			raise not_understood(why)
		settings = read_settings(files_of(unit, but=path))
		command = own_command(settings)
		directory = unit["WorkingDirectory"].lstrip("!")
		gunicorn = keeper_change.understand(self.bench, command, directory, settings, SETTINGS)
		after = text(keeper_change.with_keeper(self.bench, gunicorn, command))
		return Change(path, before, after, keeper_change.warnings_of(gunicorn))

	def write(self, change: Change, note: Callable[[str], None]) -> None:
		wanted = command_in(change.after)

		def is_in_force(unit: Properties) -> bool:
			command = unit_properties.command(unit)
			return command == wanted if wanted else not keeper_of(command)

		drop_in = DropIn(change.path, change.after, (web_of(self.manager).name,))
		dropins.write(self.manager, [drop_in], is_in_force)

	def put_back(self, change: Change) -> None:
		dropins.put(self.manager, {change.path: change.before})

	def restart(self, service: Service) -> None:
		self.manager.restart(service)

	def what_is_gone(self, service: Service) -> str:
		path = self.path(service.name)
		return "" if dropins.is_ours(path, COMMAND) else f"{path} is gone"

	def what_is_outdated(self, service: Service) -> str:
		path = self.path(service.name)
		unit = self.unit(service)
		try:
			own = own_command(read_settings(files_of(unit, but=path)))
		except (Refused, OSError):
			own = ""
		if keeper_change.without_keeper(command_in(dropins.read(path))) == own:
			return ""
		return f"{service.name} was written anew since `{COMMAND}`, and {path} still starts the web with the old command"

	def unit(self, service: Service) -> Properties:
		"""The properties of the web's unit, as systemd has read them."""
		(unit,) = self.manager.show(service.name)
		return unit

	def path(self, name: str) -> Path:
		"""Where the drop-in for a unit is."""
		return dropins.place(self.manager, name, FILE)


def why_not(unit: Properties) -> str:
	"""Why a drop-in would not do for this unit, as a clause; empty where it does."""
	sockets = [name for name in unit["TriggeredBy"].split() if name.endswith(".socket")]
	return f"{sockets[0]} holds its socket" if sockets else dropins.why_not_its_own(unit)


def files_of(unit: Properties, but: Path) -> list[Path]:
	"""The unit's file and its drop-ins, in the order in which systemd reads them, without the file `but`."""
	files = [Path(file) for file in (unit["FragmentPath"], *unit["DropInPaths"].split())]
	return [file for file in files if file != but]


def read_settings(files: Iterable[Path]) -> list[tuple[str, str]]:
	"""The settings under [Service], in order (systemd.syntax(7)). Raises OSError, and Refused for a continued line."""
	found = []
	for file in files:
		section = ""
		for line in map(str.strip, file.read_text().splitlines()):
			if line.startswith("["):
				section = line
			elif section == "[Service]" and line and line[0] not in "#;":
				if line.endswith("\\"):
					raise not_understood("it has a line that goes on")
				name, _, value = line.partition("=")
				found.append((name.strip(), value.strip()))
	return found


def own_command(settings: Iterable[tuple[str, str]]) -> str:
	"""The command that bench's unit starts; an empty ExecStart cancels those before it (systemd.service(5)). Raises
	Refused unless there is exactly one."""
	commands: list[str] = []
	for name, value in settings:
		if name == "ExecStart":
			commands = [*commands, " ".join(value.split())] if value else []
	if len(commands) != 1:
		raise not_understood(f"it has {len(commands)} commands")
	return commands[0]


def text(command: str) -> str:
	"""The text of a drop-in that has the unit start this command."""
	return f"{dropins.first_line(COMMAND)}\n[Service]\nExecStart=\nExecStart={command}\n"


def command_in(text: str) -> str:
	"""The command in the text of such a drop-in; empty where there is none."""
	return next((line.removeprefix("ExecStart=") for line in reversed(text.splitlines())), "")
