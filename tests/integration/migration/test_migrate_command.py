"""Maintenance mode and migrations on benches that lie on disk only, with real processes and real locks."""

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from safe_restart.demo.app import SITE
from safe_restart.demo.bench import DemoBench
from safe_restart.engine.core.bench import Bench
from safe_restart.engine.core.errors import Refused, RestartError
from safe_restart.engine.processes import subprocess_runner, tree
from safe_restart.engine.sites import maintenance, migrate_command

OTHER_SITE = "other.localhost"
BOTH_ON = {"maintenance_mode": 1, "pause_scheduler": 1}
SECRETS = {"db_name": "_1", "db_password": "päss"}
NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def laid_out() -> Iterator[DemoBench]:
	"""A bench with two sites; nothing of it runs."""
	demo = DemoBench()
	demo.write()
	for site in (SITE, OTHER_SITE):
		(demo.path / "sites" / site).mkdir(exist_ok=True)
		write_as_frappe(config_path(demo, site), SECRETS)
	yield demo
	demo.end()


@pytest.fixture
def bench(laid_out) -> Bench:
	return laid_out.bench


def config_path(bench: Bench | DemoBench, site: str = SITE) -> Path:
	return bench.path / "sites" / site / "site_config.json"


def read(bench: Bench, site: str = SITE) -> dict:
	return json.loads(config_path(bench, site).read_text())


def write_as_frappe(path: Path, config: dict) -> None:
	path.write_text(json.dumps(config, indent=1, sort_keys=True))


def both_keys(bench: Bench, site: str = SITE) -> dict:
	return {key: value for key, value in read(bench, site).items() if key in maintenance.KEYS}


def lock_path(bench: Bench, name: str) -> Path:
	path = bench.sites_path / SITE / "locks" / f"{name}.lock"
	path.parent.mkdir(exist_ok=True)
	return path


HOLDER = """
import fcntl, os, sys
handle = os.open(sys.argv[1], os.O_RDWR | os.O_TRUNC | os.O_CREAT, 0o644)  # as the package filelock does
fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(code: str, *arguments: object) -> Iterator[subprocess.Popen]:
	"""A process that runs `code`, from its first line of output on; its end is the end of its input."""
	words = [sys.executable, "-c", code, *map(str, arguments)]
	with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
		try:
			assert process.stdout.readline()
			yield process
		finally:
			process.kill()


class TestPriorValues:
	def test_what_was_set_before_is_recorded_and_nothing_is_written(self, bench):
		write_as_frappe(config_path(bench), {"maintenance_mode": 0, **SECRETS})
		before = snapshot(bench)

		prior = maintenance.read_prior(bench, [SITE, OTHER_SITE])

		assert json.loads(json.dumps(prior)) == {SITE: {"maintenance_mode": 0}, OTHER_SITE: {}}
		assert snapshot(bench) == before

	def test_no_password_reaches_the_record(self, bench):
		assert "p\\u00e4ss" not in json.dumps(maintenance.read_prior(bench, [SITE]))

	@pytest.mark.parametrize("content", ["{", "[]", "", None])
	def test_a_site_that_cannot_be_read_is_refused(self, bench, content):
		if content is None:
			config_path(bench).unlink()
		else:
			config_path(bench).write_text(content)
		with pytest.raises(Refused, match=f"{SITE}.*Nothing was touched"):
			maintenance.read_prior(bench, [OTHER_SITE, SITE])

	def test_a_file_that_is_half_written_at_that_moment_is_read_when_it_is_whole(self, bench):
		config_path(bench).write_text("")
		code = f"import time, pathlib; print(1, flush=True); time.sleep(0.3); pathlib.Path({str(config_path(bench))!r}).write_text('{{}}')"
		with another_process(code):
			assert maintenance.read_prior(bench, [SITE]) == {SITE: {}}


class TestMaintenance:
	def test_both_keys_are_one_in_the_file_that_wins_over_common_site_config(self, bench):
		write_as_frappe(config_path(bench), {"maintenance_mode": 0, **SECRETS})

		maintenance.turn_on(bench, maintenance.read_prior(bench, [SITE]))

		assert read(bench) == SECRETS | BOTH_ON
		assert both_keys(bench, OTHER_SITE) == {}
		assert not set(bench.config) & set(maintenance.KEYS)

	@pytest.mark.parametrize(
		"before",
		[
			{},
			{"maintenance_mode": 0, "pause_scheduler": 0},
			{"maintenance_mode": 0},
			{"pause_scheduler": 1},
			BOTH_ON,
			{"maintenance_mode": False, "pause_scheduler": True},
			{"maintenance_mode": "0", "pause_scheduler": None},
		],
		ids=json.dumps,
	)
	def test_restoring_puts_back_every_prior_value_byte_for_byte(self, bench, before):
		write_as_frappe(config_path(bench), SECRETS | before)
		bytes_before = config_path(bench).read_bytes()
		prior = json.loads(json.dumps(maintenance.read_prior(bench, [SITE])))

		maintenance.turn_on(bench, prior)
		assert both_keys(bench) == BOTH_ON
		assert maintenance.restore(bench, prior) == []

		assert config_path(bench).read_bytes() == bytes_before

	def test_doing_it_twice_is_the_same_as_once(self, bench):
		write_as_frappe(config_path(bench), {"pause_scheduler": 0, **SECRETS})
		prior = maintenance.read_prior(bench, [SITE, OTHER_SITE])
		before = contents(bench)

		maintenance.turn_on(bench, prior)
		on = snapshot(bench)
		maintenance.turn_on(bench, prior)
		assert snapshot(bench) == on
		assert maintenance.restore(bench, prior) == []
		off = snapshot(bench)
		assert maintenance.restore(bench, prior) == []

		assert snapshot(bench) == off
		assert contents(bench) == before

	def test_restoring_what_was_never_turned_on_changes_nothing(self, bench):
		write_as_frappe(config_path(bench), {"maintenance_mode": 0, **SECRETS})
		before = contents(bench)
		assert maintenance.restore(bench, maintenance.read_prior(bench, [SITE, OTHER_SITE])) == []
		assert contents(bench) == before

	def test_a_value_somebody_else_changed_meanwhile_is_left_and_named(self, bench):
		prior = maintenance.read_prior(bench, [SITE, OTHER_SITE])
		maintenance.turn_on(bench, prior)
		write_as_frappe(config_path(bench), {"maintenance_mode": 0, "pause_scheduler": 1, **SECRETS})

		for _ in range(2):
			(sentence,) = maintenance.restore(bench, prior)
			assert sentence == (
				f"maintenance_mode of site {SITE} was left 0, as somebody set it meanwhile; before it was absent"
			)
			assert both_keys(bench) == {"maintenance_mode": 0}
			assert both_keys(bench, OTHER_SITE) == {}

	def test_a_value_somebody_else_removed_meanwhile_is_named(self, bench):
		write_as_frappe(config_path(bench), {"maintenance_mode": 0, **SECRETS})
		prior = maintenance.read_prior(bench, [SITE])
		maintenance.turn_on(bench, prior)
		write_as_frappe(config_path(bench), SECRETS)
		(sentence,) = maintenance.restore(bench, prior)
		assert "was left absent" in sentence and "before it was 0" in sentence
		assert both_keys(bench) == {}

	def test_other_keys_changed_meanwhile_stay_as_they_are(self, bench):
		prior = maintenance.read_prior(bench, [SITE])
		maintenance.turn_on(bench, prior)
		write_as_frappe(config_path(bench), read(bench) | {"db_name": "_2", "new": [1, {"a": None}]})
		maintenance.restore(bench, prior)
		assert read(bench) == {**SECRETS, "db_name": "_2", "new": [1, {"a": None}]}

	def test_a_site_dropped_meanwhile_is_named_and_does_not_come_back(self, bench):
		prior = maintenance.read_prior(bench, [OTHER_SITE, SITE])
		maintenance.turn_on(bench, prior)
		(bench.sites_path / OTHER_SITE).rename(bench.path / "archived")

		(sentence,) = maintenance.restore(bench, prior)

		assert OTHER_SITE in sentence
		assert not (bench.sites_path / OTHER_SITE).exists()
		assert both_keys(bench) == {}

	def test_a_site_that_cannot_be_restored_keeps_no_other_in_maintenance(self, bench, monkeypatch):
		monkeypatch.setattr(maintenance, "LOCK_TIMEOUT_SECONDS", 0.2)
		prior = maintenance.read_prior(bench, [SITE, OTHER_SITE])
		maintenance.turn_on(bench, prior)
		with another_process(HOLDER, lock_path(bench, "site_config")):
			with pytest.raises(RestartError, match=rf"{SITE} \(to be {{}}\).*set-maintenance-mode off"):
				maintenance.restore(bench, prior)
		assert both_keys(bench, OTHER_SITE) == {}
		assert both_keys(bench) == BOTH_ON
		assert maintenance.restore(bench, prior) == []
		assert both_keys(bench) == {}


class TestWriting:
	def test_the_file_is_written_as_frappe_writes_it(self, bench):
		maintenance.turn_on(bench, {SITE: {}})
		written = config_path(bench).read_text()
		assert written == json.dumps(SECRETS | BOTH_ON, indent=1, sort_keys=True)

	def test_the_file_keeps_its_mode(self, bench):
		config_path(bench).chmod(0o640)
		maintenance.turn_on(bench, {SITE: {}})
		assert config_path(bench).stat().st_mode & 0o7777 == 0o640

	@as_root
	def test_the_file_keeps_its_owner_and_a_new_lock_gets_the_owner_of_the_site(self, bench):
		for path in (config_path(bench), config_path(bench).parent):
			os.chown(path, NOBODY, NOBODY)
		maintenance.turn_on(bench, {SITE: {}})
		folder = config_path(bench).parent
		owners = {path: (path.stat().st_uid, path.stat().st_gid) for path in folder.rglob("*")}
		assert set(owners) == {folder / "locks", folder / "locks/site_config.lock", config_path(bench)}
		assert set(owners.values()) == {(NOBODY, NOBODY)}

	def test_a_symbolic_link_stays_one(self, bench):
		real = bench.path / "elsewhere.json"
		config_path(bench).rename(real)
		config_path(bench).symlink_to(real)
		maintenance.turn_on(bench, {SITE: {}})
		assert config_path(bench).is_symlink()
		assert json.loads(real.read_text()) == SECRETS | BOTH_ON

	def test_a_disk_that_is_full_in_the_middle_of_a_write_leaves_the_old_content(self, bench):
		write_as_frappe(config_path(bench), {"maintenance_mode": 0, "long": "x" * 5000, **SECRETS})
		before = config_path(bench).read_bytes()
		code = f"""
			from safe_restart.engine.core import bench
			from safe_restart.engine.sites import maintenance
			maintenance.turn_on(bench.load({str(bench.path)!r}), {{"{SITE}": {{}}}})
		"""
		done = subprocess.run(
			[sys.executable, "-c", textwrap.dedent(code)],
			capture_output=True,
			text=True,
			env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
			preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
		)
		assert done.returncode != 0
		assert "could not be put into maintenance mode" in done.stderr
		assert "its site_config.json is as it was" in done.stderr.lower()
		assert config_path(bench).read_bytes() == before
		assert {path.name for path in config_path(bench).parent.iterdir()} == {"site_config.json", "locks"}

	def test_what_a_killed_write_left_is_in_nobodys_way(self, bench):
		(bench.sites_path / SITE / ".site_config.json.safe-restart").write_text("half")
		maintenance.turn_on(bench, {SITE: {}})
		assert read(bench) == SECRETS | BOTH_ON
		assert not list((bench.sites_path / SITE).glob(".site_config*"))

	def test_a_reader_never_sees_half_a_file(self, bench):
		code = f"""
			import json, sys, time
			print("reading", flush=True)
			looks, until = 0, time.time() + 1
			while time.time() < until:
				assert json.load(open({str(config_path(bench))!r}))["db_name"] == "_1"
				looks += 1
			print(looks)
		"""
		with another_process(textwrap.dedent(code)) as reader:
			while reader.poll() is None:
				maintenance.turn_on(bench, {SITE: {}})
				maintenance.restore(bench, {SITE: {}})
			assert reader.returncode == 0
			assert int(reader.stdout.read()) > 100

	def test_frappes_lock_is_waited_for(self, bench):
		with another_process(HOLDER, lock_path(bench, "site_config")) as holder:
			code = f"""
				from safe_restart.engine.core import bench
				from safe_restart.engine.sites import maintenance
				print("begins", flush=True)
				maintenance.turn_on(bench.load({str(bench.path)!r}), {{"{SITE}": {{}}}})
			"""
			with another_process(textwrap.dedent(code)) as ours:
				time.sleep(0.5)
				assert both_keys(bench) == {}
				holder.kill()
				assert ours.wait(10) == 0
		assert both_keys(bench) == BOTH_ON

	def test_a_lock_that_is_never_freed_is_an_error_that_leaves_the_file(self, bench, monkeypatch):
		monkeypatch.setattr(maintenance, "LOCK_TIMEOUT_SECONDS", 0.2)
		before = config_path(bench).read_bytes()
		with another_process(HOLDER, lock_path(bench, "site_config")):
			with pytest.raises(
				RestartError, match=r"another process has held .*site_config\.lock for 0\.2 s"
			):
				maintenance.turn_on(bench, {SITE: {}})
		assert config_path(bench).read_bytes() == before

	def test_no_change_is_lost_while_two_processes_change_other_keys_under_the_lock(self, bench):
		"""They write as Frappe does: under the lock, in place (frappe.installer.update_site_config)."""
		code = """
			import fcntl, json, os, select, sys
			config, lock, key = sys.argv[1:]
			print("begins", flush=True)
			count = 0
			while not select.select([sys.stdin], [], [], 0.001)[0]:
				handle = os.open(lock, os.O_RDWR | os.O_TRUNC | os.O_CREAT, 0o644)
				try:
					fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
				except BlockingIOError:
					os.close(handle)
					continue
				count += 1
				with open(config) as file:
					values = json.loads(file.read())
				assert values.get(key, 0) == count - 1, "a change was lost"
				with open(config, "w") as file:
					file.write(json.dumps(values | {key: count}, indent=1, sort_keys=True))
				os.close(handle)
			print(count)
		"""
		paths = config_path(bench), lock_path(bench, "site_config")
		with (
			another_process(textwrap.dedent(code), *paths, "a") as a,
			another_process(textwrap.dedent(code), *paths, "b") as b,
		):
			prior = maintenance.read_prior(bench, [SITE])
			rounds, changes = 0, {}
			while rounds < 50 or min(changes.get(key, 0) for key in "ab") < 50:
				maintenance.turn_on(bench, prior)
				assert maintenance.restore(bench, prior) == []
				changes = maintenance.read_config(config_path(bench))
				rounds += 1
			counts = [int(process.communicate()[0]) for process in (a, b)]
		assert read(bench) == {**SECRETS, "a": counts[0], "b": counts[1]}


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

	def test_whoever_asks_to_stop_is_heard_within_half_a_second(self, laid_out, migration):
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


def contents(bench: Bench) -> dict[Path, bytes]:
	return {path: path.read_bytes() for path in bench.sites_path.rglob("*.json")}


def snapshot(bench: Bench) -> dict[Path, tuple[int, int]]:
	"""Every file and folder of the sites: which it is, and when it was last changed."""
	paths = [bench.sites_path, *bench.sites_path.rglob("*")]
	return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def remains(demo: DemoBench) -> list[psutil.Process]:
	"""Processes whose working directory lies in the bench; a migration begins in `sites/`."""
	return [one for one in tree.inside(demo.path) if tree.is_alive(one)]
