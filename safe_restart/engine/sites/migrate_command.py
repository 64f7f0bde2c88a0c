"""Running `bench migrate`: its output streamed, its time bounded, and all that it started ended with it."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..core.bench import Bench
from ..core.files import FileLock
from ..processes.subprocess_runner import OutputLines, SubprocessRunner

TIMED_OUT, STOPPED = "timed out", "stopped"


def running_elsewhere(bench: Bench, sites: Sequence[str]) -> str | None:
	"""Say, in sentences for people, that another process migrates one of the sites; None where none does. Touches nothing.

	`bench migrate` holds `locks/bench_migrate.lock` by flock(2) (frappe.migrate.SiteMigration.run, 15 and 16). Where it
	does not get the lock it tries again for 1 s, so that it is not disturbed by this.
	"""
	for site in sites:
		path = bench.sites_path / site / "locks" / "bench_migrate.lock"
		try:
			if not FileLock(path).is_free():
				return (
					f"Site {site} is being migrated by another process, which holds {path}. "
					"Wait until that has ended, then try again."
				)
		except OSError as error:
			return f"Whether site {site} is being migrated cannot be found out ({error}). Run this as the bench's owner."
	return None


@dataclass(frozen=True)
class MigrationResult:
	"""How a migration went.

	exit_code: of the last run; negative where a signal ended it, None where it took too long or was asked to stop
	tail: the last 20 lines of its output
	"""

	exit_code: int | None
	timed_out: bool
	was_stopped: bool
	seconds: float
	tail: tuple[str, ...]

	@property
	def is_ok(self) -> bool:
		return self.exit_code == 0


def command(bench: Bench, sites: Sequence[str] | None) -> list[str]:
	"""The command line that migrates one site, or with None all of them; to be run in `sites/`.

	Raises ValueError for several sites or none: frappe.utils.bench_helper.get_sites takes a name or `all`, and no list (15
	to 17). Where there is no env/bin/bench, this is what `bench` itself executes (bench.cli.frappe_cmd).
	"""
	(site,) = ("all",) if sites is None else sites
	program = bench.path / "env/bin/bench"
	if program.is_file() and os.access(program, os.X_OK):
		start = [str(program)]
	else:
		start = [str(bench.path / "env/bin/python"), "-m", "frappe.utils.bench_helper", "frappe"]
	return [*start, "--site", site, "migrate"]


def run_migration(
	bench: Bench,
	sites: Sequence[str] | None,
	timeout_seconds: float,
	on_line: Callable[[str], None],
	is_asked_to_stop: Callable[[], bool] = lambda: False,
) -> MigrationResult:
	"""Migrate the sites one after the other, or with None all in one run, and stop at the first that fails.

	timeout_seconds: for all sites together
	on_line: gets each line of output as it comes, a progress bar once a second
	is_asked_to_stop: called 5 times a second
	Once the time is over, it is asked to stop or a callback raises, the migration gets SIGTERM, and 10 s later all that is
	left of it and of what it started gets SIGKILL. Raises RestartError where it cannot be started.
	"""
	began = time.monotonic()
	lines = OutputLines(on_line)
	exit_code: int | None = 0
	why: str | None = None

	def why_end() -> str | None:
		if time.monotonic() - began >= timeout_seconds:
			return TIMED_OUT
		return STOPPED if is_asked_to_stop() else None

	for choice in [None] if sites is None else [[site] for site in sites]:
		if why := why_end():
			exit_code = None
			break
		exit_code, why = SubprocessRunner(bench, command(bench, choice), lines).follow(why_end)
		if exit_code != 0:
			break
	seconds = time.monotonic() - began
	return MigrationResult(exit_code, why == TIMED_OUT, why == STOPPED, seconds, tuple(lines.tail))
