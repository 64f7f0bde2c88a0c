"""`safe-restart setup systemd`, and what doctor and plan say about units."""

from pathlib import Path

from tests.support.cli import cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import run_long


def words(text: str) -> str:
	return " ".join(text.split())


def files(bench) -> dict[str, str]:
	found = (path for path in bench.unit_dir.rglob("*") if path.is_file())
	return {str(path): path.read_text() for path in found}


def test_after_setup_a_job_finishes_when_its_unit_is_stopped_and_undo_restores(systemd_bench):
	before = files(systemd_bench)
	for command in ("doctor", "plan"):
		said = words(cli(systemd_bench, command).out)
		assert "KillMode is control-group" in said
		assert "TimeoutStopSec is shorter than the 300 s" in said

	done = cli(systemd_bench, "setup", "systemd", "--user", "--yes")

	assert done.exit_code == 0, done.text
	name = f"{systemd_bench.path.name}-frappe-default-worker1@.service"
	assert f"{name}.d/safe-restart.conf" in done.out
	assert "TimeoutStopSec=360" in done.out
	assert "control-group" not in cli(systemd_bench, "doctor").out
	assert "TimeoutStopSec" not in cli(systemd_bench, "plan").out
	assert "Nothing was changed" in cli(systemd_bench, "setup", "systemd", "--user", "--yes").out
	jobs = run_long(systemd_bench, 3, 6)
	units = [systemd_bench.unit(f"frappe-default-worker1@{number}") for number in (1, 2, 3)]
	systemd_bench.systemctl("restart", *units)
	assert set(systemd_bench.runs()) == set(jobs)
	assert cli(systemd_bench, "--json").exit_code == 0
	assert_bench_is_healthy(systemd_bench, jobs)

	assert cli(systemd_bench, "setup", "systemd", "--user", "--undo", "--yes").exit_code == 0
	assert files(systemd_bench) == before
	assert "KillMode is control-group" in words(cli(systemd_bench, "doctor").out)


def test_setup_refuses_what_it_does_not_understand_and_changes_nothing(systemd_bench):
	before = files(systemd_bench)
	assert "add --user" in cli(systemd_bench, "setup", "systemd", "--yes").err
	assert cli(systemd_bench, "setup", "systemd", "--user").exit_code == 1  # nobody there to say yes
	assert files(systemd_bench) == before

	folder = systemd_bench.unit_dir / f"{systemd_bench.path.name}-frappe-short-worker@.service.d"
	folder.mkdir()
	(folder / "safe-restart.conf").write_text("[Service]\nKillMode=mixed\n")
	said = cli(systemd_bench, "setup", "systemd", "--user", "--yes")
	assert said.exit_code == 2
	assert "was not written by this command" in said.err
	(folder / "safe-restart.conf").write_text("")
	(folder / "safe-restart.conf").rename(folder / "own.conf")
	(folder / "own.conf").write_text("[Service]\nKillMode=process\n")
	systemd_bench.systemctl("daemon-reload")
	said = cli(systemd_bench, "setup", "systemd", "--user", "--yes")
	assert said.exit_code == 2
	assert "KillMode is process" in said.err
	(folder / "own.conf").rename(folder / "zzz.conf")
	(folder / "zzz.conf").write_text("[Service]\nKillMode=control-group\n")
	systemd_bench.systemctl("daemon-reload")
	said = cli(systemd_bench, "setup", "systemd", "--user", "--yes")
	assert said.exit_code == 1
	assert "something else has the last word" in said.err
	assert {Path(path).name for path in files(systemd_bench)} - {Path(path).name for path in before} == {
		"zzz.conf"
	}


def test_logs_are_read_from_the_units_files(systemd_bench):
	(systemd_bench.path / "logs/frappe-web.log").write_text("a line of the web\n")
	assert "a line of the web" in cli(systemd_bench, "logs", "web").out
	assert "a line of the web" in cli(systemd_bench, "logs", systemd_bench.unit("frappe-web")).out
