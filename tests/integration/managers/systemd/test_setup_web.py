"""`setup web` keeps its promises where units run the web, by a drop-in that leaves bench's own unit as it is."""

from pathlib import Path

import pytest

from safe_restart.demo.load import WebLoad
from safe_restart.demo.templates import THREADED
from safe_restart.engine.core.errors import Refused
from safe_restart.engine.managers.systemd import dropins
from safe_restart.engine.managers.systemd.manager import SYSTEM
from safe_restart.engine.web import keeper_systemd
from tests.support.cli import cli
from tests.support.health import assert_bench_is_healthy
from tests.support.systemd import SystemdBench
from tests.support.waiting import wait_for
from tests.support.web_promises import SYNC, WebPromises, keeper


@pytest.fixture
def kept(make_systemd) -> SystemdBench:
	return make_systemd(gunicorn_options=SYNC, has_setup_web=True)


@pytest.fixture
def threaded(make_systemd) -> SystemdBench:
	return make_systemd(gunicorn_options=THREADED)


@pytest.fixture
def restart_by_hand():
	return lambda bench: bench.systemctl("restart", web_unit(bench))


class TestUnderSystemd(WebPromises):
	pass


def web_unit(bench: SystemdBench) -> str:
	return bench.unit("frappe-web")


def drop_in(bench: SystemdBench) -> Path:
	return bench.unit_dir / f"{web_unit(bench)}.d/safe-restart-web.conf"


def files(bench: SystemdBench) -> dict[str, str]:
	"""All that could be changed: units with their drop-ins, and the bench's configuration."""
	found = (path for folder in (bench.unit_dir, bench.path / "config") for path in folder.rglob("*"))
	return {
		str(p): p.read_text() for p in found if p.suffix in (".service", ".conf", ".target", ".py", ".json")
	}


def rewrite(bench: SystemdBench, old: str, new: str) -> None:
	"""As `bench setup systemd` writes a unit anew."""
	path = bench.path / "config/systemd" / web_unit(bench)
	assert old in path.read_text()
	path.write_text(path.read_text().replace(old, new))


def words(text: str) -> str:
	return " ".join(text.split())


def test_setup_shows_what_it_changes_asks_and_is_undone_exactly(systemd_bench):
	bench = systemd_bench
	before, web_pid = files(bench), keeper(bench)

	shown = cli(bench, "setup", "web", "--dry-run")
	assert shown.exit_code == 0, shown.text
	assert "\n+ExecStart=\n+ExecStart=" in shown.out
	assert "systemd restarts the web once" in shown.out
	unasked = cli(bench, "setup", "web")
	assert unasked.exit_code == 2 and "Nothing was touched" in unasked.text
	assert files(bench) == before and keeper(bench) == web_pid

	others = {s.name: s.pid for s in bench.fleet_reader().manager.services() if s.kind != "web"}
	done = cli(bench, "setup", "web", "--yes")
	assert done.exit_code == 0, done.text
	changed = {path: text for path, text in files(bench).items() if before.get(path) != text}
	assert {Path(path).name for path in changed} == {
		"safe-restart-web.conf",
		"web_keeper.py",
		"web_keeper.json",
	}
	assert {s.name: s.pid for s in bench.fleet_reader().manager.services() if s.kind != "web"} == others
	assert keeper(bench) != web_pid
	assert "Nothing to do" in cli(bench, "setup", "web", "--yes").out
	assert "without refusing a request" in cli(bench, "doctor").out
	assert cli(bench, "--only", "web", "--json").json["web"] == {"checked": True, "outage_ms": 0}

	undone = cli(bench, "setup", "web", "--undo", "--yes")
	assert undone.exit_code == 0, undone.text
	assert files(bench) == before
	assert not drop_in(bench).parent.exists()
	assert "Nothing to do" in cli(bench, "setup", "web", "--undo", "--yes").out
	assert cli(bench, "--only", "web", "--json").json["web"]["outage_ms"] > 0
	assert_bench_is_healthy(bench)


def test_both_setups_live_beside_each_other_and_each_is_undone_alone(systemd_bench):
	before = files(systemd_bench)
	for what in (("web",), ("systemd", "--user")):
		assert cli(systemd_bench, "setup", *what, "--yes").exit_code == 0
	for what in (("systemd", "--user"), ("web",)):
		assert cli(systemd_bench, "setup", *what, "--undo", "--yes").exit_code == 0
	assert files(systemd_bench) == before
	assert_bench_is_healthy(systemd_bench)


def test_a_unit_that_bench_wrote_anew_is_noticed_and_mended(kept):
	text = drop_in(kept).read_text()
	assert "written anew" not in cli(kept, "doctor").out + cli(kept, "plan").out
	rewrite(kept, "-w 2", "-w 3")

	for said in (cli(kept, "doctor"), cli(kept, "plan")):
		assert f"{web_unit(kept)} was written anew" in words(said.out)
	done = cli(kept, "--only", "web", "--json")
	assert done.exit_code == 6
	assert "was written anew" in done.json["warnings"][0] and "setup web" in done.json["warnings"][0]
	assert done.json["web"]["outage_ms"] == 0

	assert cli(kept, "setup", "web", "--yes").exit_code == 0
	assert drop_in(kept).read_text() == text.replace("-w 2", "-w 3")
	assert cli(kept, "--only", "web", "--json").exit_code == 0
	assert_bench_is_healthy(kept)


def test_a_drop_in_that_somebody_removed_is_noticed_and_mended(kept):
	text = drop_in(kept).read_text()
	drop_in(kept).unlink()
	assert "is gone" in words(cli(kept, "doctor").out)
	kept.systemctl("daemon-reload")
	assert "is gone" in words(cli(kept, "plan").out)
	kept.systemctl("restart", web_unit(kept))
	wait_for(kept.is_up)
	done = cli(kept, "--only", "web", "--json")
	assert done.exit_code == 6
	assert "is not in force" in done.json["warnings"][0]
	assert done.json["web"]["outage_ms"] > 0

	assert cli(kept, "setup", "web", "--yes").exit_code == 0
	assert drop_in(kept).read_text() == text
	assert cli(kept, "--only", "web", "--json").json["web"]["outage_ms"] == 0

	drop_in(kept).unlink()
	kept.systemctl("daemon-reload")
	kept.systemctl("restart", web_unit(kept))
	wait_for(kept.is_up)
	assert "was removed" in cli(kept, "setup", "web", "--undo", "--yes").out
	assert "setup web" not in cli(kept, "doctor").out


def test_a_keeper_that_systemd_has_read_but_not_started_is_no_keeper_yet(kept):
	text = drop_in(kept).read_text()
	drop_in(kept).unlink()
	kept.systemctl("daemon-reload")
	kept.systemctl("restart", web_unit(kept))
	drop_in(kept).write_text(text)
	kept.systemctl("daemon-reload")
	wait_for(kept.is_up)
	assert "systemd has not loaded it" in words(cli(kept, "doctor").out)
	assert cli(kept, "--only", "web", "--json").exit_code == 6
	assert "without refusing a request" in cli(kept, "doctor").out
	assert_bench_is_healthy(kept)


def test_a_web_that_does_not_come_back_is_put_back_as_it_was(systemd_bench):
	before = files(systemd_bench)
	in_the_way = systemd_bench.path / "config/web_keeper.json.new"
	in_the_way.mkdir()  # so that the keeper cannot tell what it does
	done = cli(systemd_bench, "setup", "web", "--yes", timeout_seconds=180)
	assert done.exit_code == 1, done.text
	assert "cannot write into" in done.err and "and works" in done.err
	in_the_way.rmdir()
	assert files(systemd_bench) == before
	assert_bench_is_healthy(systemd_bench)


def test_a_change_that_has_not_the_last_word_is_taken_back_and_nothing_is_restarted(systemd_bench):
	bench, web_pid = systemd_bench, keeper(systemd_bench)
	own = bench.systemctl("cat", web_unit(bench)).partition("ExecStart=")[2].splitlines()[0]
	drop_in(bench).parent.mkdir()
	other = drop_in(bench).with_name("zzz.conf")
	other.write_text(f"[Service]\nExecStart=\nExecStart={own}\n")
	bench.systemctl("daemon-reload")
	before = files(bench)
	done = cli(bench, "setup", "web", "--yes")
	assert done.exit_code == 1, done.text
	assert "something else has the last word" in done.err
	assert files(bench) == before and keeper(bench) == web_pid
	assert_bench_is_healthy(bench)


@pytest.mark.parametrize(
	("old", "new", "why"),
	[
		("127.0.0.1:", "0.0.0.0:", "listens on"),
		("-b 127", "-b 127.0.0.1:1 -b 127", "nothing is known"),
		("-w 1", "-w 1 -c gunicorn.conf.py", "nothing is known"),
		("-w 1", "-w %n", "placeholders"),
		("-w 1", "\\\n-w 1", "goes on"),
		("[Service]", "[Service]\nType=notify", "Type=notify"),
		("[Service]", "[Service]\nExecStartPre=/bin/true", "ExecStartPre"),
		("[Service]", "[Service]\nKillMode=process", "KillMode=process"),
		("[Service]", "[Service]\nMemoryMax=1G", "MemoryMax"),
		("[Service]", "[Service]\nEnvironment=GUNICORN_CMD_ARGS=-w9", "GUNICORN_CMD_ARGS"),
		("/sites\n", "/config\n", "does not run in"),
	],
)
def test_what_is_not_understood_is_refused_with_a_sentence(one_systemd_bench, old, new, why):
	bench = one_systemd_bench
	path = bench.path / "config/systemd" / web_unit(bench)
	text = path.read_text()
	rewrite(bench, old, new)
	try:
		bench.systemctl("daemon-reload")
		with pytest.raises(Refused, match=why) as refused:
			keeper_systemd.SystemdSetup(bench.bench, bench.fleet_reader().manager).plan()
		assert "Nothing was touched" in str(refused.value)
	finally:
		path.write_text(text)
		bench.systemctl("daemon-reload")
	assert keeper_systemd.SystemdSetup(bench.bench, bench.fleet_reader().manager).plan().diff


@pytest.fixture(scope="module")
def one_systemd_bench(systemd_is_here, make_shared_bench):
	"""One bench for many questions, none of which changes it."""
	with pytest.MonkeyPatch.context() as monkeypatch:

		def ask_this_systemd(bench: SystemdBench) -> None:
			for name, value in bench.address.items():
				monkeypatch.setenv(name, value)

		yield make_shared_bench(SystemdBench, ask_this_systemd)


def test_what_somebody_else_wrote_in_that_place_is_refused(one_systemd_bench):
	path = drop_in(one_systemd_bench)
	path.parent.mkdir()
	path.write_text("[Service]\nNice=5\n")
	said = cli(one_systemd_bench, "setup", "web", "--yes")
	assert said.exit_code == 2
	assert "was not written by this command" in said.err
	path.unlink()
	path.parent.rmdir()


def test_only_root_may_change_the_systems_units_and_is_told_what_to_type(one_systemd_bench, monkeypatch):
	manager = one_systemd_bench.fleet_reader().manager
	manager.scope = SYSTEM
	monkeypatch.setattr("os.geteuid", lambda: 1000)
	with pytest.raises(Refused, match=r"sudo safe-restart --bench \S+ setup web"):
		dropins.check_rights(manager, "setup web")


class WithSocket(SystemdBench):
	"""Somebody had a socket unit hold the web's port."""

	def units(self) -> dict[str, str]:
		socket = f"[Socket]\nListenStream=127.0.0.1:{self.web_port}\n"
		return {**super().units(), f"{self.path.name}-frappe-web.socket": socket}

	def launch(self) -> None:
		self.supervisord = self.start_manager()
		self.systemctl("start", f"{self.path.name}-frappe-web.socket")
		self.systemctl("start", f"{self.path.name}.target")


def test_a_web_with_a_socket_unit_is_restarted_plainly_and_setup_refuses_it(make_systemd):
	bench = make_systemd(WithSocket, gunicorn_options=SYNC)
	old = keeper(bench)
	with WebLoad(bench) as hammer:
		done = cli(bench, "--json")
	assert done.exit_code == 0, done.text
	assert keeper(bench) != old
	assert "refused" not in hammer.failures
	said = cli(bench, "setup", "web", "--yes")
	assert said.exit_code == 2
	assert "frappe-web.socket holds its socket" in said.err
	assert_bench_is_healthy(bench)
