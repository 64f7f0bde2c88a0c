"""Migrations on benches that lie on disk only, with real processes and real locks."""

import fcntl
import json
import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable

import psutil
import pytest

from safe_restart.demo.app import SITE
from safe_restart.demo.bench import DemoBench
from safe_restart.engine.core.errors import RestartError
from safe_restart.engine.processes import subprocess_runner, tree
from safe_restart.engine.sites import migrate_command
from tests.support.sites import HOLDER, NOBODY, OTHER_SITE, another_process, as_root, lock_path, snapshot


class TestCommand:
	def test_one_site_or_all_by_the_benchs_own_program(self, bench):
		program = str(bench.path / "env/bin/bench")
		assert migrate_command.command(bench, [SITE]) == [program, "--site", SITE, "migrate"]
		assert migrate_command.command(bench, None) == [program, "--site", "all", "migrate"]

	@pytest.mark.parametrize("is_there", [True, False])
	def test_without_a_program_that_can_be_run_it_is_what_bench_itself_executes(self, bench, is_there):
		program = bench.path / "env/bin/bench"
		program.chmod(0o644) if is_there else program.unlink()
		python = str(bench.path / "env/bin/python")
		words = [python, "-m", "frappe.utils.bench_helper", "frappe", "--site", "all", "migrate"]
		assert migrate_command.command(bench, None) == words

	@pytest.mark.parametrize("sites", [[], [SITE, OTHER_SITE]])
	def test_one_line_is_for_one_site(self, bench, sites):
		with pytest.raises(ValueError):
			migrate_command.command(bench, sites)


@pytest.fixture
def migration(laid_out) -> Callable[..., migrate_command.MigrationResult]:
	"""Runs a migration whose program is this Python code, or the miniature bench's own."""

	def run(
		code: str = "", sites=(SITE,), timeout_seconds=20.0, on_line=lambda line: None, stop=lambda: False
	) -> migrate_command.MigrationResult:
		if code:
			program = laid_out.path / "env/bin/bench"
			program.write_text(
				f"#!{sys.executable}\nimport os, signal, subprocess, sys, time\n{textwrap.dedent(code)}"
			)
		return migrate_command.run_migration(laid_out.bench, sites, timeout_seconds, on_line, stop)

	return run


def choose(demo: DemoBench, **behaviour) -> None:
	(demo.path / "migrate.json").write_text(json.dumps(behaviour))


def migrations(demo: DemoBench) -> list[str]:
	return [entry["job"] for entry in demo.ledger() if entry["what"] == "migrate"]


class TestMigration:
	def test_a_migration_that_succeeds(self, laid_out, migration):
		lines = []
		result = migration(on_line=lines.append)
		assert result.is_ok
		assert (result.exit_code, result.timed_out, result.was_stopped) == (0, False, False)
		assert 0.3 < result.seconds < 5
		assert result.tail == tuple(lines) == tuple(f"Migrating {SITE}: {n} of 3" for n in (1, 2, 3))
		assert migrations(laid_out) == [f"{SITE} begin", f"{SITE} end"]

	def test_a_migration_that_fails_says_so_with_its_last_twenty_lines(self, laid_out, migration):
		choose(laid_out, fail=True, lines=30)
		lines = []
		result = migration(on_line=lines.append)
		assert (result.exit_code, result.is_ok) == (1, False)
		assert len(lines) == 30
		assert result.tail == tuple(lines[-20:])

	def test_a_migration_that_is_killed_is_no_success(self, migration):
		result = migration("os.kill(os.getpid(), 9)")
		assert (result.exit_code, result.is_ok) == (-9, False)

	def test_none_means_all_sites_in_one_run(self, laid_out, migration):
		assert migration(sites=None).is_ok
		assert migrations(laid_out) == ["all begin", "all end"]

	def test_several_sites_come_one_after_the_other_and_the_first_failure_is_the_last(
		self, laid_out, migration
	):
		assert migration(sites=[SITE, OTHER_SITE]).is_ok
		both = [f"{site} {what}" for site in (SITE, OTHER_SITE) for what in ("begin", "end")]
		assert migrations(laid_out) == both
		choose(laid_out, fail=True)
		assert not migration(sites=[SITE, OTHER_SITE]).is_ok
		assert migrations(laid_out) == both + both[:2]

	def test_no_site_is_nothing_to_do(self, laid_out, migration):
		assert migration(sites=[]).is_ok
		assert migrations(laid_out) == []

	def test_it_runs_in_sites_in_a_session_of_its_own(self, bench, migration):
		result = migration("print(os.getcwd(), os.getsid(0) == os.getpid())")
		assert result.tail == (f"{bench.sites_path} True",)

	def test_a_migration_that_asks_something_gets_no_answer_and_does_not_wait_for_one(self, migration):
		ours, other_end, before = *os.pipe(), os.dup(0)
		os.dup2(ours, 0)
		try:
			assert migration("print(repr(sys.stdin.read()))", timeout_seconds=5).tail == ("''",)
		finally:
			os.dup2(before, 0)
			for handle in (ours, other_end, before):
				os.close(handle)

	def test_a_program_that_is_missing_is_a_sentence(self, bench, migration):
		(bench.path / "env/bin/bench").unlink()
		with pytest.raises(RestartError, match=r"env/bin/python -m .* could not be started .*try again"):
			migration()

	@as_root
	def test_root_migrates_as_the_owner_of_the_bench(self, bench, laid_out):
		program = bench.path / "env/bin/bench"
		program.write_text('#!/bin/sh\nid -u; id -g; id -G; echo "$HOME"\n')
		os.chown(bench.sites_path, NOBODY, NOBODY)
		for folder in (laid_out.path, bench.sites_path):
			folder.chmod(0o755)
		result = migrate_command.run_migration(bench, None, 20, lambda line: None)
		assert result.tail[:3] == (str(NOBODY), str(NOBODY), str(NOBODY))
		assert result.tail[3] != os.environ.get("HOME")


class TestOutput:
	def test_each_line_comes_when_it_is_written_on_either_stream(self, migration):
		came = []
		migration(
			"""
			print("one")
			time.sleep(0.5)
			print("two", file=sys.stderr)
			time.sleep(0.5)
			""",
			on_line=lambda line: came.append((line, time.monotonic())),
		)
		end = time.monotonic()
		assert [line for line, _ in came] == ["one", "two"]
		assert came[1][1] - came[0][1] > 0.25
		assert end - came[1][1] > 0.25

	def test_a_line_without_an_end_is_shown_while_the_migration_goes_on(self, migration):
		came = []
		result = migration(
			"sys.stdout.write('working'); sys.stdout.flush(); time.sleep(2); sys.stdout.write(' done')",
			on_line=lambda line: came.append((line, time.monotonic())),
		)
		assert time.monotonic() - came[0][1] > 0.5
		assert result.tail == ("working", " done")

	def test_the_last_line_comes_without_a_newline_too(self, migration):
		assert migration("sys.stdout.write('a\\nb')").tail == ("a", "b")

	def test_a_progress_bar_is_one_line_and_is_seen_while_it_grows(self, migration):
		lines = []
		migration(
			r"""
			for percent in range(101):
				sys.stdout.write(f"\rUpdating: {percent}%")
				time.sleep(0.022)
			print()
			print("next\r")
			""",
			on_line=lines.append,
		)
		assert lines[-2:] == ["Updating: 100%", "next"]
		assert 1 <= len(lines[:-2]) <= 3
		assert all(line.startswith("Updating: ") and line.endswith("%") for line in lines[:-2])

	def test_output_that_is_no_utf_8_is_shown_as_well_as_it_can_be(self, migration):
		assert migration(r"os.write(1, b'caf\xe9 \xc3\xa9\n\x00\xff\n')").tail == ("caf� é", "\x00�")

	def test_a_line_without_bounds_is_cut(self, migration):
		result = migration("os.write(1, b'x' * 3_000_000 + b'\\nnext\\n')")
		assert result.tail[-1] == "next"
		assert 1 <= len(result.tail) <= 4
		assert all(len(line) <= subprocess_runner.LINE_BYTES + 1 for line in result.tail)
		assert result.tail[0].endswith("x…")

	def test_a_line_without_an_end_takes_no_memory(self):
		lines = subprocess_runner.OutputLines(lambda line: None)
		for _ in range(100):
			lines.feed(b"x" * subprocess_runner.PIPE_BYTES)
		assert len(lines.pending) <= subprocess_runner.LINE_BYTES + 1

	def test_all_of_a_great_deal_of_output_comes(self, migration):
		lines = []
		migration("for n in range(50_000): print(n)", on_line=lines.append)
		assert lines == [str(n) for n in range(50_000)]

	def test_nothing_is_lost_where_the_caller_is_slow_and_a_child_keeps_the_pipe(self, migration):
		lines = []
		migration(
			"""
			if not os.fork():
				time.sleep(5)
				os._exit(0)
			os.write(1, b"".join(b"%05d\\n" % n for n in range(15_000)))  # more than a pipe holds
			""",
			on_line=lambda line: (lines or time.sleep(1.5), lines.append(line)),
		)
		assert lines == [f"{n:05}" for n in range(15_000)]


class TestEnding:
	def test_a_migration_that_exits_while_a_child_keeps_its_pipe_open_ends_at_once(self, migration):
		result = migration(
			"""
			print("parent")
			if not os.fork():
				time.sleep(20)
			"""
		)
		assert result.is_ok
		assert result.seconds < 5

	@pytest.mark.parametrize("closes_output", [False, True])
	def test_a_silent_migration_is_ended_at_the_timeout(self, laid_out, migration, closes_output):
		result = migration(
			f"""
			if {closes_output}: os.close(1); os.close(2)
			time.sleep(60)
			""",
			timeout_seconds=0.5,
		)
		assert (result.exit_code, result.timed_out, result.was_stopped) == (None, True, False)
		assert not result.is_ok
		assert 0.5 <= result.seconds < 3
		assert remains(laid_out) == []

	def test_the_timeout_is_for_all_sites_together(self, laid_out, migration):
		choose(laid_out, seconds=6)
		result = migration(sites=[SITE, OTHER_SITE], timeout_seconds=10)
		assert result.timed_out
		assert migrations(laid_out) == [f"{SITE} begin", f"{SITE} end", f"{OTHER_SITE} begin"]

	def test_a_migration_gets_a_sigterm_first_and_its_last_words_are_heard(self, migration):
		result = migration(
			"""
			def leave(*_):
				print("rolled back")
				sys.exit(0)
			signal.signal(signal.SIGTERM, leave)
			time.sleep(60)
			""",
			timeout_seconds=0.5,
		)
		assert result.tail == ("rolled back",)
		assert (result.exit_code, result.is_ok) == (None, False)

	def test_one_that_ignores_sigterm_is_killed_after_its_time_of_grace(
		self, laid_out, migration, monkeypatch
	):
		monkeypatch.setattr(subprocess_runner, "TERM_SECONDS", 1)
		choose(laid_out, seconds=60, ignore_term=True, silent=True)
		result = migration(timeout_seconds=0.5)
		assert result.timed_out
		assert 1.5 <= result.seconds < 4
		assert migrations(laid_out) == [f"{SITE} begin"]
		assert remains(laid_out) == []

	@pytest.mark.parametrize(
		"leave",
		[
			"pass",
			"os.setsid()",
			"os.setpgid(0, 0)",
			"os.setsid(); os.fork() and os._exit(0)",
			"os.fork() and os._exit(0)",
			"os.setsid(); os.execve('/bin/sleep', ['sleep', '60'], {})",
			"os.fork() and os._exit(0); os.setpgid(0, 0); os.execve('/bin/sleep', ['sleep', '60'], {})",
		],
		ids=["child", "own session", "own group", "daemon", "orphan", "no environment", "orphan without"],
	)
	@pytest.mark.parametrize("ignores_term", [False, True])
	def test_nothing_of_an_ended_migration_remains_wherever_it_went(
		self, laid_out, migration, monkeypatch, leave, ignores_term
	):
		monkeypatch.setattr(subprocess_runner, "TERM_SECONDS", 0.5)
		lines = []
		result = migration(
			f"""
			if {ignores_term}: signal.signal(signal.SIGTERM, signal.SIG_IGN)
			if not os.fork():
				signal.signal(signal.SIGTERM, signal.SIG_IGN)
				{leave}
				while True: time.sleep(1)
			time.sleep(0.1)
			print("begun")
			while True: time.sleep(1)
			""",
			on_line=lines.append,
			stop=lambda: bool(lines),
		)
		assert result.was_stopped
		assert result.seconds < 8
		assert remains(laid_out) == []

	def test_a_request_to_stop_is_heard_within_half_a_second(self, laid_out, migration):
		asked = []

		def stop() -> bool:
			asked.append(time.monotonic())
			return asked[-1] - asked[0] > 1

		result = migration("time.sleep(60)", stop=stop)

		assert (result.exit_code, result.timed_out, result.was_stopped) == (None, False, True)
		assert result.seconds < 3
		assert 3 <= len(asked) <= 7, "about five times a second"
		assert remains(laid_out) == []

	def test_a_stop_is_asked_for_five_times_a_second_however_much_is_written(self, migration):
		asked = []
		migration(
			"until = time.time() + 1\nwhile time.time() < until: print('x' * 100)",
			stop=lambda: bool(asked.append(1)),
		)
		assert 2 <= len(asked) <= 9

	def test_asked_to_stop_before_it_began_nothing_begins(self, laid_out, migration):
		result = migration(stop=lambda: True)
		assert (result.exit_code, result.was_stopped) == (None, True)
		assert migrations(laid_out) == []

	@pytest.mark.parametrize("fails", ["on_line", "stop"])
	def test_where_the_caller_fails_no_migration_goes_on_unwatched(self, laid_out, migration, fails):
		def fail(*_) -> bool:
			if fails == "stop" and not migrations(laid_out):
				return False
			raise OSError("the journal cannot be written")

		choose(laid_out, seconds=60, lines=600)
		with pytest.raises(OSError, match="journal"):
			migration(**{fails: fail})
		assert migrations(laid_out) == [f"{SITE} begin"]
		assert remains(laid_out) == []


class TestRunningElsewhere:
	def test_a_site_that_was_never_migrated_is_free_and_stays_untouched(self, bench):
		before = snapshot(bench)
		assert migrate_command.running_elsewhere(bench, [SITE, OTHER_SITE, "no.such.site"]) is None
		assert snapshot(bench) == before

	def test_a_migration_that_runs_is_named_until_it_ends_however_it_does(self, bench):
		path = lock_path(bench, "bench_migrate")
		with another_process(HOLDER, path) as holder:
			before = snapshot(bench)
			sentence = migrate_command.running_elsewhere(bench, [OTHER_SITE, SITE])
			assert sentence.startswith(f"Site {SITE} is being migrated by another process")
			assert migrate_command.running_elsewhere(bench, [OTHER_SITE]) is None
			assert snapshot(bench) == before
			holder.send_signal(signal.SIGKILL)
			holder.wait()
			assert migrate_command.running_elsewhere(bench, [SITE]) is None
			assert snapshot(bench) == before

	def test_looking_leaves_the_lock_free(self, bench):
		path = lock_path(bench, "bench_migrate")
		path.touch()
		assert migrate_command.running_elsewhere(bench, [SITE]) is None
		with another_process(HOLDER, path), open(path) as file:
			with pytest.raises(BlockingIOError):
				fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remains(demo: DemoBench) -> list[psutil.Process]:
	"""Processes whose working directory lies in the bench; a migration begins in `sites/`."""
	return [one for one in tree.inside(demo.path) if tree.is_alive(one)]
