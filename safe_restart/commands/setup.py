"""`safe-restart setup …`: commands that set a bench up for better restarts.

Only click is imported at the top.
"""

import click

from .context import this_bench


@click.group()
def setup() -> None:
	"""Set this bench up for better restarts. Each command shows first what it changes, and can be undone."""


@setup.command("web")
@click.option("--undo", is_flag=True, help="Take it back.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show the change, and do nothing.")
@click.pass_context
def setup_web(ctx: click.Context, undo: bool, yes: bool, dry_run: bool) -> None:
	"""Let restarts refuse no request: a keeper holds the web's socket and starts the new gunicorn beside the
	old one."""
	from .setup_web import run

	run(this_bench(ctx), undo, yes, dry_run)


@setup.command("systemd")
@click.option("--user", is_flag=True, help="Use the systemd of this user (systemctl --user).")
@click.option("--undo", is_flag=True, help="Take it back, and nothing else.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def setup_systemd(ctx: click.Context, user: bool, undo: bool, yes: bool) -> None:
	"""Let workers finish their jobs whatever stops their units: KillMode=mixed, and a TimeoutStopSec above
	the queue's."""
	from .setup_systemd import run_setup, run_undo

	(run_undo if undo else run_setup)(this_bench(ctx), user, yes)
