"""What a command line asks for."""

from pathlib import Path

import pytest

from safe_restart.engine.core.bench import Bench


@pytest.mark.parametrize(
	("typed", "sites"),
	[(["--site", "a"], ["a"]), (["--site", "all"], []), ([], [])],
	ids=["one", "all", "none"],
)
def test_the_site_that_was_typed_before_the_command_is_the_one_to_migrate(typed, sites, monkeypatch):
	import click
	from click.testing import CliRunner

	from safe_restart import commands

	seen = {}

	@click.group()
	@click.option("--site")
	def frappe(site):
		"""As Frappe's own group above its apps' commands (frappe.utils.bench_helper.app_group)."""

	frappe.add_command(commands.safe_restart)

	def stand_in(ctx):
		seen.update(commands.options_of(ctx, Bench(Path("/nowhere"), {})))
		ctx.exit()

	monkeypatch.setattr(commands, "this_bench", stand_in)
	done = CliRunner().invoke(frappe, [*typed, "safe-restart", "--migrate"])
	assert done.exit_code == 0, done.output
	assert list(seen["sites"]) == sites
