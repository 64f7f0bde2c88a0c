"""supervisord is killed and started again: what it ran is left behind, beside its successors."""

import json
import signal
import time
from contextlib import suppress

import psutil
import pytest

from safe_restart.engine.core.errors import RestartError
from safe_restart.engine.processes import tree
from safe_restart.engine.services import orphaned_services
from tests.support.cli import cli, start_cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import run_long
from tests.support.restarts import worker_pids
from tests.support.waiting import wait_for


def kill_supervisord(demo) -> None:
	"""As the kernel does when memory is short. Debian's unit has KillMode=process, so what it ran goes on."""
	demo.supervisord.send_signal(signal.SIGKILL)
	demo.supervisord.wait()


def start_supervisord(demo) -> None:
	demo.launch()
	wait_for(lambda: answers(demo), "supervisord answers")


def answers(demo) -> bool:
	with suppress(RestartError):
		return bool(demo.fleet_reader().manager.services())
	return False


def mends(demo) -> list[str]:
	"""What doctor says to type."""
	found = json.loads(cli(demo, "doctor", "--json").out)["findings"]
	return [finding["fix"].split("`")[1] for finding in found if finding["fix"].startswith("`safe-restart")]


def test_a_bench_whose_supervisord_died_is_made_whole_by_what_doctor_says(demo):
	jobs = run_long(demo, 2, 4)
	old = [process for process in tree.inside(demo.path) if process.pid != demo.supervisord.pid]
	kill_supervisord(demo)
	start_supervisord(demo)
	wait_for(lambda: len(demo.fleet_reader().read().workers) == 6, "new workers beside the old ones")
	fleet = demo.fleet_reader().read()
	assert len(fleet.programs) == 6 and not fleet.unmanaged and not fleet.stale
	kinds = {
		kind
		for kind, _ in orphaned_services.find_orphaned_services(
			demo.bench, demo.fleet_reader().manager.services()
		)
	}
	assert kinds == {"web", "scheduler", "redis"}
	assert set(mends(demo)) == {"safe-restart", "safe-restart --wait-workers --only redis"}

	done = cli(demo, "--json")
	assert done.exit_code == 6, done.text
	assert done.json["workers"] == {"before": 6, "after": 3, "replaced": 6, "still_old": 0}
	assert "`safe-restart --wait-workers --only redis`" in " ".join(done.json["warnings"])
	assert mends(demo) == ["safe-restart --wait-workers --only redis"]

	last = cli(demo, "--wait-workers", "--only", "redis", "--json")
	assert last.exit_code == 0, last.text
	assert not [process for process in old if tree.is_alive(process)]
	assert mends(demo) == []
	assert_bench_is_healthy(demo, jobs)


OTHERS = [
	pytest.param((word,), marks=pytest.mark.slow("another strategy"))
	for word in ("--wait-workers", "--no-wait-workers", "--migrate")
]


@pytest.mark.parametrize("words", [(), *OTHERS])
def test_a_restart_waits_for_its_manager_and_ends_what_that_left(demo, words):
	old = worker_pids(demo)
	jobs = run_long(demo, 2, 3)
	process = start_cli(demo, *words, "--json")
	wait_for(lambda: demo.redis.exists("rq:suspended"))
	kill_supervisord(demo)
	time.sleep(2)  # as long as it takes to be noticed
	start_supervisord(demo)
	out, err = process.communicate(timeout=90)
	assert process.returncode == 6, out + err
	wait_for(lambda: not [pid for pid in old if psutil.pid_exists(pid)], "no old worker is left")
	wait_for(lambda: not json.loads(cli(demo, "status", "--json").out)["request"], "the watch is over")
	last = cli(demo, "--wait-workers", "--only", "redis", "--json")
	assert last.exit_code == 0, last.text
	assert_bench_is_healthy(demo, jobs)
