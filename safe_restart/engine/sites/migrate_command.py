"""Running `bench migrate`: streamed, bounded in time, and gone with all it started when it is ended."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..core.bench import Bench
from ..core.files import FileLock
from ..processes.subprocess_runner import OutputLines, SubprocessRunner

TIMED_OUT, STOPPED = "timed out", "stopped"


def running_elsewhere(bench: Bench, sites: Sequence[str]) -> str | None:
	"""A sentence where one of the sites is being migrated now, by whomever; leaves no trace.

	`bench migrate` holds `locks/bench_migrate.lock` (frappe.migrate.SiteMigration.run, 15 and 16) as above.
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
			return f"Whether site {site} is being migrated cannot be told ({error}). Run this as the bench's owner."
	return None


@dataclass(frozen=True)
class MigrationResult:
	"""How a migration went.

	`exit_code` is that of the last run, negative where a signal ended it, None where we did; `tail` holds the last 20
	lines of what it wrote.
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
	"""The command line that migrates one site, or with None all; to be run in `sites/`.

	It takes one site: frappe.utils.bench_helper.get_sites knows a name and `all`, and no list (15 to 17). Raises
	ValueError for more or none. Without env/bin/bench it is what `bench` itself executes (bench.cli.frappe_cmd).
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

	`on_line` gets each line as it comes, a progress bar once a second. Once `timeout_seconds` for all of them are over
	or `is_asked_to_stop` says so, which is asked 5 times a second, the migration gets SIGTERM and 10 s later it and all
	it started get SIGKILL; so too where a callback raises. Raises RestartError where it cannot be started.
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
