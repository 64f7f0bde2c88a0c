"""Replacing the web costs nobody an error page where `setup web` was done, and what was not done is said."""

import os
import shutil
import subprocess
import sys

import psutil
import pytest

from safe_restart.demo.bench import DemoBench
from safe_restart.demo.load import WebLoad
from safe_restart.demo.templates import THREADED
from tests.support.cli import cli, start_cli
from tests.support.health import assert_bench_is_healthy
from tests.support.waiting import wait_for
from tests.support.web_promises import SYNC, WebPromises, keeper, masters


@pytest.fixture
def kept(make_bench) -> DemoBench:
	"""A bench after `setup web`."""
	return make_bench(gunicorn_options=SYNC, has_setup_web=True)


def config(demo: DemoBench):
	return demo.path / "config/supervisor.conf"


def supervisorctl(demo: DemoBench, *words: str) -> None:
	file = demo.path / "config/supervisor/supervisord.conf"
	command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(file), *words]
	subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)


@pytest.fixture
def threaded(make_bench) -> DemoBench:
	return make_bench(gunicorn_options=THREADED)


@pytest.fixture
def restart_by_hand():
	def restart(demo: DemoBench) -> None:
		# One that has only just registered may be stopped before it knows how to take its leave.
		wait_for(lambda: all(age > 1 for age in ages(demo)) and len(ages(demo)) == demo.all_workers)
		supervisorctl(demo, "restart", "all")

	return restart


def ages(demo: DemoBench) -> list[float]:
	snapshot = demo.fleet_reader().read().snapshot
	return [snapshot.now - worker.birth.timestamp() for worker in snapshot.workers]


class TestUnderSupervisor(WebPromises):
	pass


@pytest.mark.slow("each of its requests takes a second")
def test_a_request_that_runs_is_finished_by_the_old_web_and_the_restart_waits_for_it(kept):
	with WebLoad(kept, clients=2, pause_seconds=0.01, path="/slow") as hammer:
		wait_for(lambda: hammer.requests)
		done = cli(kept, "--only", "web", "--json")
	assert done.exit_code == 0, done.text
	assert hammer.failures == {}


@pytest.mark.parametrize("strategy", ["--wait-workers", "--now", "--migrate"])
def test_every_strategy_replaces_the_web_without_an_outage_of_its_own(kept, strategy):
	old = masters(kept)
	done = cli(kept, strategy, "--yes", "--json")
	assert done.exit_code == 0, done.text
	if strategy != "--migrate":  # which answers 503 while the site is in maintenance mode
		assert done.json["web"] == {"checked": True, "outage_ms": 0}
	assert len(masters(kept)) == 1 and masters(kept) != old
	assert_bench_is_healthy(kept)


def test_a_helper_that_is_killed_between_old_and_new_web_leaves_one_new_web(kept):
	old = masters(kept)
	with WebLoad(kept, clients=4) as hammer:
		process = start_cli(kept, "--only", "web", "--detach")
		assert process.wait(60) == 0
		wait_for(lambda: len(masters(kept)) == 2, "the new web beside the old one")
		for one in psutil.process_iter(["cmdline"]):
			if "safe_restart.helper" in (one.info["cmdline"] or []) and str(kept.path) in one.info["cmdline"]:
				one.kill()
		cli(kept, "recover")
		wait_for(lambda: cli(kept, "history", "--json").json["requests"][0]["finished_at"])
	assert hammer.failures == {}
	assert len(masters(kept)) == 1 and masters(kept) != old
	assert_bench_is_healthy(kept)


def test_a_signal_by_hand_replaces_the_web_as_gently(kept):
	old = masters(kept)
	with WebLoad(kept, clients=4) as hammer:
		supervisorctl(kept, "signal", "HUP", f"{kept.path.name}-web:*")
		wait_for(lambda: len(masters(kept)) == 1 and masters(kept) != old, "the new web alone")
	assert hammer.failures == {}
	assert_bench_is_healthy(kept)


def test_setup_shows_what_it_changes_asks_and_is_undone_exactly(make_bench):
	demo = make_bench()
	before, folder = config(demo).read_text(), sorted(os.listdir(demo.path / "config"))
	web_pid = keeper(demo)

	shown = cli(demo, "setup", "web", "--dry-run")
	assert (
		shown.exit_code == 0
		and "\n+command=" in shown.out
		and "restarts the web and socketio once" in shown.out
	)
	unasked = cli(demo, "setup", "web")
	assert unasked.exit_code == 2 and "Nothing was touched" in unasked.text
	assert config(demo).read_text() == before and keeper(demo) == web_pid

	others = {s.name: s.pid for s in demo.fleet_reader().manager.services() if s.kind != "web"}
	assert cli(demo, "setup", "web", "--yes").exit_code == 0
	assert "web_keeper.py" in config(demo).read_text()
	assert {s.name: s.pid for s in demo.fleet_reader().manager.services() if s.kind != "web"} == others
	assert "Nothing to do" in cli(demo, "setup", "web", "--yes").out
	assert "without refusing a request" in cli(demo, "doctor").out

	assert cli(demo, "setup", "web", "--undo", "--yes").exit_code == 0
	assert config(demo).read_text() == before
	assert sorted(os.listdir(demo.path / "config")) == folder
	assert cli(demo, "--only", "web", "--json").json["web"]["outage_ms"] > 0
	assert_bench_is_healthy(demo)


def test_a_configuration_that_bench_wrote_anew_is_noticed_and_mended(kept):
	kept_text = config(kept).read_text()
	config(kept).write_text("\n".join(kept.programs()))
	assert "written anew" in cli(kept, "doctor").out
	assert "written anew" in cli(kept, "plan").out
	supervisorctl(kept, "update")
	wait_for(kept.is_up)

	done = cli(kept, "--only", "web", "--json")
	assert done.exit_code == 6
	assert "is not in force" in done.json["warnings"][0]
	assert done.json["web"]["outage_ms"] > 0

	assert cli(kept, "setup", "web", "--yes").exit_code == 0
	assert config(kept).read_text() == kept_text
	assert cli(kept, "--only", "web", "--json").json["web"]["outage_ms"] == 0


def test_a_configuration_that_supervisor_does_not_read_is_put_back(make_bench):
	demo = make_bench()
	before, web_pid = config(demo).read_text(), keeper(demo)
	folder = sorted(os.listdir(demo.path / "config"))
	shutil.copy(config(demo), demo.path / "config/elsewhere.conf")
	file = demo.path / "config/supervisor/supervisord.conf"
	file.write_text(file.read_text().replace("config/supervisor.conf", "config/elsewhere.conf"))
	done = cli(demo, "setup", "web", "--yes")
	assert done.exit_code == 2, done.text
	assert "does not read" in done.text
	assert config(demo).read_text() == before and keeper(demo) == web_pid
	assert sorted(set(os.listdir(demo.path / "config")) - {"elsewhere.conf"}) == folder
	assert_bench_is_healthy(demo)


def test_without_preload_gunicorn_reloads_itself_without_an_outage(make_bench):
	demo = make_bench(gunicorn_options="-w 2 -t 120")
	master, old = keeper(demo), workers_of(keeper(demo))
	with WebLoad(demo, clients=8) as hammer:
		done = cli(demo, "--only", "web", "--json")
	assert done.exit_code == 0, done.text
	assert hammer.failures == {} and done.json["web"]["outage_ms"] == 0
	assert keeper(demo) == master
	assert not old & workers_of(master)
	assert_bench_is_healthy(demo)


def workers_of(pid: int) -> set[int]:
	return {one.pid for one in psutil.Process(pid).children()}
