"""Maintenance mode, put on and taken back by real processes under real locks."""

import json
import os
import resource
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from safe_restart.demo.app import SITE
from safe_restart.engine.core.bench import Bench
from safe_restart.engine.core.errors import Refused, RestartError
from safe_restart.engine.sites import maintenance
from tests.support.sites import (
	BOTH_ON,
	HOLDER,
	NOBODY,
	OTHER_SITE,
	SECRETS,
	another_process,
	as_root,
	config_path,
	lock_path,
	read,
	snapshot,
	write_as_frappe,
)


def both_keys(bench: Bench, site: str = SITE) -> dict:
	return {key: value for key, value in read(bench, site).items() if key in maintenance.KEYS}


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
				# It says nothing while it waits: what it could write in these ten of its tries it would have written.
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


def contents(bench: Bench) -> dict[Path, bytes]:
	return {path: path.read_bytes() for path in bench.sites_path.rglob("*.json")}
