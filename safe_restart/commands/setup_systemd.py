"""`safe-restart setup systemd`: shows the drop-ins for worker units, asks, and writes or removes them."""

import click

from ..engine.core.bench import Bench
from ..engine.managers.systemd import dropins
from ..engine.managers.systemd import worker_dropins as engine
from ..engine.managers.systemd.manager import SYSTEM, USER, Systemd
from ..engine.views.doctor import longest_job_seconds


def manager_of(bench: Bench, user: bool) -> Systemd:
	"""The systemd that runs this bench, of the system or of this user. Raises Refused."""
	return dropins.manager_of(bench, USER if user else SYSTEM, engine.COMMAND)


def run_setup(bench: Bench, user: bool, yes: bool) -> None:
	"""Show the drop-ins that are missing, ask, and write them. Raises RestartError."""
	manager = manager_of(bench, user)
	longest = {service.name: longest_job_seconds(bench, service.command) for service in manager.services()}
	wanted = engine.wanted(manager, longest)
	if not wanted:
		click.echo("Every worker unit lets its job finish already. Nothing was changed.")
		return
	for drop_in in wanted:
		click.echo(f"{drop_in.path}, for {', '.join(drop_in.names)}:")
		click.echo("".join(f"  {line}\n" for line in drop_in.text.splitlines()))
	if not yes:
		click.confirm("Write this? No unit is restarted.", abort=True)
	engine.write(manager, wanted)
	click.echo("Written, and in force from now on. `safe-restart setup systemd --undo` removes it.")


def run_undo(bench: Bench, user: bool, yes: bool) -> None:
	"""Show the drop-ins that this command wrote, ask, and remove them. Raises RestartError."""
	manager = manager_of(bench, user)
	paths = engine.written(manager)
	if not paths:
		click.echo("Nothing to remove: this command has written nothing here.")
		return
	click.echo("".join(f"{path}\n" for path in paths), nl=False)
	if not yes:
		click.confirm("Remove this? No unit is restarted.", abort=True)
	engine.remove(manager, paths)
	click.echo("Removed.")
