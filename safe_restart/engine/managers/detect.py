"""Finding the process manager that runs a bench."""

from collections.abc import Callable, Sequence

from ..core.bench import Bench
from ..core.errors import Refused
from ..processes.classify import OTHER
from .base import ProcessManager
from .containers import find_containers
from .foreground import find_foreground
from .overmind import find_overmind
from .supervisor import find_supervisor
from .systemd.manager import find_systemd


def find_in_foreground(bench: Bench, tried: list[str]) -> Sequence[ProcessManager]:
	"""The overmind, or else another program in the foreground, that runs this bench; a list of at most one."""
	return find_overmind(bench, tried) or find_foreground(bench, tried)


# In the order in which they are called. Each adds to its second argument why it found none.
FINDERS: dict[str, Callable[[Bench, list[str]], Sequence[ProcessManager]]] = {
	"supervisor": find_supervisor,
	"systemd": find_systemd,
	"foreground": find_in_foreground,
	"containers": find_containers,
}


def find_manager(bench: Bench) -> ProcessManager:
	"""The manager that runs this bench. Raises Refused, with the fix, where none can be reached or several run it."""
	chosen = bench.settings.process_manager
	tried: list[str] = []
	found: list[ProcessManager] = []
	for name in (chosen,) if chosen else FINDERS:
		# Once a manager is found, another one is only asked if bench or pilot have written configuration for it:
		# systemd is slow to list all its units, and beside a manager a program in a terminal does not count.
		if not found or (bench.path / "config" / name).is_dir():
			found += FINDERS[name](bench, tried)
	if len(found) > 1:
		# A manager that runs nothing is one from which the bench was moved to the other.
		found = [one for one in found if any(s.is_up and s.kind != OTHER for s in one.services())] or found
	if len(found) > 1:
		raise several_managers(found)
	if not found:
		raise no_manager(bench, tried)
	return found[0]


def several_managers(found: list[ProcessManager]) -> Refused:
	"""The error to raise where several managers run services of this bench."""
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
	"""The error to raise where no manager was found."""
	return Refused(
		f"No process manager with programs of {bench.path} was found. Nothing was touched.\n"
		+ "".join(f"  {line}\n" for line in tried)
		+ "If supervisor runs this bench, name its socket in sites/common_site_config.json: "
		'"safe_restart": {"supervisor_socket": "/path/to/supervisor.sock"}. If systemd does, load its units first: '
		"systemctl daemon-reload. `bench start` is found while it runs."
	)
