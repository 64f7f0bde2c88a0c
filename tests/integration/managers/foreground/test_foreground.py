"""A bench in the foreground is drained without ending anything, handed over, and resumed when it is back."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
from redis.exceptions import RedisError

from safe_restart.engine.core.errors import RestartError
from safe_restart.engine.managers import detect
from safe_restart.engine.state.journal import Journal
from safe_restart.engine.state.records import ASK
from tests.support.cli import cli, start_cli
from tests.support.foreground import ForegroundBench, assert_handled_gently, end_of
from tests.support.load import end_jobs, run_long
from tests.support.restarts import helper_of, start_draining, worker_pids
from tests.support.waiting import wait_for

pytestmark = pytest.mark.engine

LEASE_SECONDS = 30


def start_until_handed_over(bench: ForegroundBench, *words: str) -> subprocess.Popen:
	process = start_cli(bench, *words)
	wait_for(lambda: is_handed_over(bench), "it is said that it is safe now")
	return process


def is_handed_over(bench: ForegroundBench) -> bool:
	journal = Journal(bench.bench)
	newest = journal.requests(1)
	return bool(newest) and any(event.kind == ASK for event in journal.events(newest[0].id))


def restart_by_hand(bench: ForegroundBench) -> None:
	bench.press_ctrl_c()
	bench.launch()


def is_replaced(bench: ForegroundBench, old: set[int]) -> bool:
	with suppress(RestartError, RedisError):  # nothing is there to be seen in between
		programs = bench.fleet_reader().read().programs
		return len(programs) == len(old) and all(u.workers and u.service.pid not in old for u in programs)
	return False


def test_a_person_who_restarts_when_told_loses_no_job(bench):
	old = worker_pids(bench)
	jobs = run_long(bench, 2, 4)
	for number in range(10):
		bench.enqueue(0.01, f"short-{number}", "short")

	process = start_until_handed_over(bench, "--json")
	bench.enqueue(0.01, "late")
	bench.enqueue(0.01, "late-long", "long")
	assert worker_pids(bench) == old
	assert bench.runs("end")["long-0"] == bench.runs("end")["long-1"] == 1
	assert not {"late", "late-long"} & set(bench.runs("begin"))
	restart_by_hand(bench)
	code, said = end_of(process)

	assert code == 0, said
	report = cli(bench, "show", Journal(bench.bench).requests(1)[0].id, "--json").json
	assert report["workers"] == {"before": 3, "after": 3, "replaced": 3, "still_old": 0}
	assert report["jobs"]["interrupted"] == report["jobs"]["lost_and_found"] == 0
	assert "site answering" in next(step["detail"] for step in report["steps"] if step["name"] == "verify")
	assert not old & worker_pids(bench)
	jobs += [*(f"short-{number}" for number in range(10)), "late", "late-long"]
	assert_handled_gently(bench, jobs)


@pytest.mark.parametrize("flag", ["--wait-workers", "--no-wait-workers"])
def test_an_idle_bench_is_handed_over_with_every_strategy(bench, flag):
	old = worker_pids(bench)
	process = start_until_handed_over(bench, flag)
	assert "it is safe now" in cli(bench, "status").out
	assert {worker.state for worker in bench.fleet_reader().read().workers} == {"suspended"}
	restart_by_hand(bench)
	code, said = end_of(process)
	assert code == 0, said
	assert "3 of 3 workers replaced" in said
	assert not old & worker_pids(bench)
	assert_handled_gently(bench)


@pytest.mark.slow("waits for the end of a hold")
def test_a_hold_that_ends_without_a_restart_says_that_old_code_runs(bench):
	old = worker_pids(bench)
	process = start_until_handed_over(bench, "--hold", "3")
	bench.enqueue(0.01, "late")
	code, said = end_of(process)
	assert code == 6, said
	assert "nothing was restarted within 3 s, so old code still runs" in said
	assert "0 of 3 workers replaced" in said
	assert_handled_gently(bench, ["late"], old)


def test_jobs_that_do_not_end_in_time_leave_everything_as_it_was(bench):
	old = worker_pids(bench)
	jobs = run_long(bench, 1, 60, queue="long")
	done = cli(bench, "--wait-workers-timeout", "2")
	assert done.exit_code == 3, done.text
	assert "Nothing was interrupted" in done.text
	assert bench.redis.get("rq:suspended") is None
	end_jobs(bench)
	bench.enqueue(0.01, "after")
	assert_handled_gently(bench, [*jobs, "after"], old)


def test_ctrl_c_while_jobs_are_waited_for_resumes(bench):
	old = worker_pids(bench)
	jobs = run_long(bench, 1, 60)
	process = start_draining(bench)
	process.send_signal(signal.SIGINT)
	code, said = end_of(process)
	assert code == 5, said
	assert bench.redis.get("rq:suspended") is None
	end_jobs(bench)
	assert_handled_gently(bench, jobs, old)


def test_ctrl_c_while_a_person_is_waited_for_resumes(bench):
	old = worker_pids(bench)
	process = start_until_handed_over(bench)
	bench.enqueue(0.01, "late")
	process.send_signal(signal.SIGINT)
	code, said = end_of(process)
	assert code == 5, said
	assert "it is safe now" not in cli(bench, "status").out
	assert_handled_gently(bench, ["late"], old)


def test_a_helper_that_is_killed_while_it_waits_is_taken_over_and_rolled_back(bench):
	old = worker_pids(bench)
	process = start_until_handed_over(bench)
	helper_of(bench).kill()
	bench.enqueue(0.01, "late")
	code, said = end_of(process)
	assert code == 1, said
	assert "had stopped nothing" in said
	assert_handled_gently(bench, ["late"], old)


@pytest.mark.slow("a lease lapses after 30 s")
def test_when_helper_and_guard_are_killed_the_lease_lapses_and_nothing_is_left(bench):
	old = worker_pids(bench)
	jobs = run_long(bench, 1, 12)
	process = start_draining(bench)
	helper = helper_of(bench)
	guard = helper.parent()
	guard.kill()
	helper.kill()
	code, said = end_of(process)
	assert code == 1 and "safe-restart recover" in said, said
	bench.enqueue(0.01, "late", "long")
	wait_for(lambda: not bench.redis.exists("rq:suspended"), "the lease lapses", LEASE_SECONDS + 10)
	assert_handled_gently(bench, [*jobs, "late"], old)
	assert cli(bench, "recover").exit_code == 0
	assert_handled_gently(bench, [*jobs, "late"], old)


@pytest.mark.slow("five restarts")
def test_jobs_that_come_in_while_workers_are_woken_run_once_each(bench):
	old = worker_pids(bench)
	jobs = []

	def add() -> None:
		for queue in ("short", "default", "long"):
			jobs.append(f"job-{len(jobs)}")
			bench.enqueue(0.01, jobs[-1], queue)

	for hold in ("0", "0", "0", "0.2", "1"):
		process = start_cli(bench, "--hold", hold)
		while process.poll() is None:
			add()
			time.sleep(0.01)
		assert end_of(process)[0] == 6
	assert_handled_gently(bench, jobs, old)


@pytest.mark.parametrize(
	"words, says",
	[
		(("--now", "--yes"), "the end of one process ends all"),
		(("--suspend-rq", "--yes"), "the end of one process ends all"),
		(("--only", "web"), "all stop and start together"),
		(("--migrate",), "drain --hold"),
	],
)
def test_what_would_stop_a_part_is_refused_with_the_reason(bench, words, says):
	old = worker_pids(bench)
	done = cli(bench, *words)
	assert done.exit_code == 2
	assert says in done.text and "Nothing was touched" in done.text
	planned = cli(bench, *words, "plan")
	assert planned.exit_code == 2 and says in planned.text
	assert_handled_gently(bench, pids=old)


def test_a_redis_that_keeps_nothing_is_not_stopped_with_jobs_in_it(bench):
	bench.redis.config_set("appendonly", "no")
	bench.redis.config_set("save", "")
	done = cli(bench)
	assert done.exit_code == 2
	assert "would lose every queued job" in done.text and "CONFIG SET save" in done.text
	bench.redis.config_set("save", "3600 1")
	assert cli(bench, "--hold", "0").exit_code == 6
	assert_handled_gently(bench)


@pytest.mark.slow("waits for a time-out")
def test_a_bench_that_is_not_started_again_is_a_failure_that_says_so(bench):
	process = start_until_handed_over(bench, "--hold", "4")
	bench.press_ctrl_c()
	code, said = end_of(process)
	assert code == 1, said
	assert "not started again" in said and "bench start" in said
	bench.launch()
	wait_for(bench.is_up, "the bench is back and takes jobs")
	cli(bench, "--hold", "0")  # finds what a killed worker has left
	assert_handled_gently(bench)


def test_a_drain_is_held_for_a_person_and_resumed(bench):
	old = worker_pids(bench)
	assert cli(bench, "drain", "--hold", "300").exit_code == 0
	bench.enqueue(0.01, "late")
	assert {worker.state for worker in bench.fleet_reader().read().workers} == {"suspended"}
	restart_by_hand(bench)
	wait_for(lambda: is_replaced(bench, old), "new workers have registered")
	done = cli(bench, "resume")
	assert done.exit_code == 0, done.text
	wait_for(bench.is_up, "workers take jobs")
	cli(bench, "--hold", "0")  # finds what a killed worker has left
	assert_handled_gently(bench, ["late"])


def test_status_doctor_plan_and_logs_tell_what_runs_the_bench(bench):
	services = cli(bench, "status", "--json").json["services"]
	assert sorted(service["name"] for service in services) == sorted(
		["redis_queue.1", "schedule.1", "web.1", "worker_0_0.1", "worker_0_1.1", "worker_1_0.1"]
	)
	assert all(psutil.pid_exists(service["pid"]) for service in services)
	doctor = cli(bench, "doctor")
	assert doctor.exit_code == 0
	assert "found through honcho: 1 redis, 1 scheduler, 1 web, 3 workers" in doctor.out
	assert "Ctrl-C there kills running jobs" in doctor.out
	assert "you are told to restart it" in cli(bench, "plan").out
	web = cli(bench, "logs", "web")
	assert web.exit_code == 2
	assert f"shown where honcho (pid {bench.supervisord.pid}) runs" in web.text
	assert "worker.log" in cli(bench, "logs", "workers").out


def test_a_worker_in_a_terminal_beside_supervisor_stays_unmanaged(demo):
	(demo.path / "Procfile.extra").write_text("extra: env/bin/bench worker --queue long\n")
	beside = subprocess.Popen(
		[sys.executable, "-m", "honcho", "start", "-f", "Procfile.extra"],
		cwd=demo.path,
		env={**os.environ, **demo.environment},
		stdout=subprocess.DEVNULL,
		start_new_session=True,
	)
	try:
		wait_for(lambda: demo.fleet_reader().read().unmanaged, "the worker has registered")
		assert detect.find_manager(demo.bench).name == "supervisor"
		assert len(demo.fleet_reader().read().programs) == 3
	finally:
		os.killpg(beside.pid, signal.SIGINT)
		beside.wait(20)


def test_the_setting_for_the_process_manager_takes_foreground_and_no_other_word(bench):
	config = bench.path / "sites/common_site_config.json"
	text = config.read_text()
	config.write_text(text.replace("{", '{"safe_restart": {"process_manager": "foreground"},', 1))
	assert cli(bench, "status", "--json").json["problems"] == []
	config.write_text(text.replace("{", '{"safe_restart": {"process_manager": "honcho"},', 1))
	refused = cli(bench, "status")
	assert refused.exit_code == 2
	assert "it must be supervisor, systemd, foreground or containers" in refused.err
