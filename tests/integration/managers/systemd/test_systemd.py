"""A restart keeps its promises on a bench whose services are systemd's units."""

import json
import random
import subprocess
import sys
import time

import psutil
import pytest

from safe_restart.demo.templates import SUPERVISORD_CONFIG
from safe_restart.engine.processes import tree
from safe_restart.engine.services import orphaned_services
from safe_restart.engine.state.journal import Journal
from tests.support.cli import cli, start_cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import end_jobs, run_long
from tests.support.restarts import worker_pids
from tests.support.systemd import SystemdBench
from tests.support.waiting import wait_for


def by_name(bench) -> dict:
	return {service.name: service for service in bench.fleet_reader().manager.services()}


def test_units_are_seen_with_their_kind_state_pid_and_command(systemd_bench):
	manager = systemd_bench.fleet_reader().manager
	services = {service.name: service for service in manager.services()}
	kinds = {name.removeprefix(f"{systemd_bench.path.name}-"): s.kind for name, s in services.items()}
	assert kinds == {
		"redis-queue.service": "redis",
		"frappe-web.service": "web",
		"frappe-schedule.service": "scheduler",
		"frappe-short-worker@1.service": "workers",
		**{f"frappe-default-worker1@{number}.service": "workers" for number in (1, 2, 3)},
	}
	for name, service in services.items():
		pid = int(systemd_bench.systemctl("show", "--property=MainPID", "--value", name))
		assert (service.pid, service.stop_wait_seconds, service.problem) == (pid, 90, "")
		assert abs(service.started_at - time.time()) < 60
	worker = services[systemd_bench.unit("frappe-short-worker@1")]
	assert worker.command == f"{systemd_bench.path}/env/bin/bench worker --queue short"
	assert worker.log_paths == tuple(f"{systemd_bench.path}/logs/worker{end}.log" for end in ("", ".error"))
	wait_for(lambda: all(s.state == "running" for s in manager.services()))
	manager.stop(worker)
	wait_for(lambda: by_name(systemd_bench)[worker.name].state == "stopped")
	assert by_name(systemd_bench)[worker.name].pid == 0
	manager.start(worker)
	wait_for(lambda: by_name(systemd_bench)[worker.name].state == "running")


@pytest.mark.parametrize("flags", [(), ("--wait-workers",), ("--migrate",)])
def test_no_job_is_interrupted(systemd_bench, flags):
	before = {s.name: s.pid for s in systemd_bench.fleet_reader().manager.services()}
	jobs = run_long(systemd_bench, 3, 4)
	jobs += [f"short-{number}" for number in range(10)]
	for name in jobs[3:]:
		systemd_bench.enqueue(0.01, name)

	done = cli(systemd_bench, *flags, "--json")

	assert done.exit_code == 0, done.text
	assert done.json["jobs"]["interrupted"] == 0
	assert done.json["workers"] == {"before": 4, "after": 4, "replaced": 4, "still_old": 0}
	same = [s.kind for s in systemd_bench.fleet_reader().manager.services() if s.pid == before[s.name]]
	assert same == ["redis"]
	assert_bench_is_healthy(systemd_bench, jobs)


def test_no_wait_workers_returns_and_replaces_busy_workers_when_they_are_done(systemd_bench):
	old = worker_pids(systemd_bench)
	jobs = run_long(systemd_bench, 3, 120)
	done = cli(systemd_bench, "--no-wait-workers", "--json")
	assert done.exit_code == 6, done.text
	assert done.json["workers"]["still_old"] == 3
	end_jobs(systemd_bench)
	wait_for(lambda: not old & worker_pids(systemd_bench))
	assert_bench_is_healthy(systemd_bench, jobs)


@pytest.mark.parametrize("strategy", ["--now", "--suspend-rq"])
def test_interrupted_jobs_run_again(systemd_bench, strategy):
	jobs = run_long(systemd_bench, 2, 60)
	done = cli(systemd_bench, strategy, "--force-kill-timeout", "1", "--yes", "--json")
	assert done.exit_code == 0, done.text
	assert done.json["jobs"]["interrupted"] == done.json["jobs"]["requeued"] == 2
	end_jobs(systemd_bench)
	assert_bench_is_healthy(systemd_bench, jobs, interrupted=jobs)


def failed_jobs(bench) -> int:
	return sum(queue.failed for queue in bench.fleet_reader().read().snapshot.queues)


def test_where_a_plain_restart_kills_every_running_job_ours_kills_none(systemd_bench):
	jobs = []
	for number, strategy in enumerate(("--wait-workers", "--json")):
		jobs += [f"{number}-{name}" for name in run_named(systemd_bench, number, 10)]
		done = cli(systemd_bench, strategy)
		assert done.exit_code == 0, done.text
	assert failed_jobs(systemd_bench) == 0
	assert_bench_is_healthy(systemd_bench, jobs)

	run_named(systemd_bench, 2, 30)
	systemd_bench.systemctl(
		"restart", *[systemd_bench.unit(f"frappe-default-worker1@{n}") for n in (1, 2, 3)]
	)
	wait_for(lambda: failed_jobs(systemd_bench) == 3, "the control: systemctl restart kills all three")


def run_named(bench, number: int, seconds: float) -> list[str]:
	"""Start three long jobs with names of their own; returns their names without the number."""
	before = sum(bench.runs("begin").values())
	names = [f"long-{job}" for job in range(3)]
	for name in names:
		bench.enqueue(seconds, f"{number}-{name}")
	wait_for(lambda: sum(bench.runs("begin").values()) == before + 3, "long jobs begin")
	return names


def test_a_unit_that_was_started_too_often_is_named_and_brought_back(systemd_bench):
	name = systemd_bench.unit("frappe-schedule")
	for _ in range(6):
		subprocess.run(["systemctl", "--user", "restart", name], capture_output=True)
	assert by_name(systemd_bench)[name].state == "failed"
	said = cli(systemd_bench, "doctor")
	assert said.exit_code == 1
	assert f"{name} has failed (start-limit-hit)" in " ".join(said.out.split())

	done = cli(systemd_bench, "--json")

	assert done.exit_code == 0, done.text
	assert_bench_is_healthy(systemd_bench)


def test_restarts_that_come_too_often_for_systemd_succeed_all_the_same(systemd_bench):
	"""systemd starts a unit at most StartLimitBurst times in a while, and each restart of ours takes one of these."""
	for name in ("frappe-default-worker1@", "frappe-schedule", "frappe-web"):
		folder = systemd_bench.unit_dir / f"{systemd_bench.unit(name)}.d"
		folder.mkdir()
		(folder / "limit.conf").write_text("[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=2\n")
	systemd_bench.systemctl("daemon-reload")
	for _ in range(3):
		done = cli(systemd_bench, "--json")
		assert done.exit_code == 0, done.text
		assert done.json["workers"]["replaced"] == 4
	assert_bench_is_healthy(systemd_bench)


def test_a_unit_that_does_not_stay_up_is_a_failure_that_says_so(systemd_bench):
	script = systemd_bench.path / "env/bin/bench"
	right = script.read_text()
	script.write_text("#!/bin/sh\nexit 3\n")
	done = cli(systemd_bench, "--only", "scheduler", "--json")
	assert done.exit_code == 1, done.text
	assert f"{systemd_bench.unit('frappe-schedule')} does not stay up" in done.json["outcome"]
	script.write_text(right)
	assert cli(systemd_bench, "--only", "scheduler").exit_code == 0
	assert_bench_is_healthy(systemd_bench)


def test_a_process_that_systemd_has_just_brought_back_is_not_called_orphaned(systemd_bench):
	before = systemd_bench.fleet_reader().manager.services()
	scheduler = next(service for service in before if service.kind == "scheduler")
	systemd_bench.systemctl("restart", scheduler.name)
	(new,) = [s for s in systemd_bench.fleet_reader().manager.services() if s.name == scheduler.name]
	process = psutil.Process(new.pid)
	wait_for(lambda: "schedule" in process.cmdline())
	assert tree.orphan_root(process, "scheduler", ()) == process  # the control: init is all that is above it
	assert orphaned_services.find_orphaned_services(systemd_bench.bench, before) == []


class RestartsOnFailureOnly(SystemdBench):
	"""As pilot writes its units: a worker that ends well is not brought back."""

	restart = "on-failure"


@pytest.mark.parametrize("flags", [(), ("--wait-workers",)])
def test_units_that_do_not_come_back_by_themselves_are_started(make_systemd, flags):
	bench = make_systemd(RestartsOnFailureOnly)
	jobs = run_long(bench, 2, 6)
	done = cli(bench, *flags, "--json")
	assert done.exit_code == 0, done.text
	assert done.json["workers"]["replaced"] == 4
	assert_bench_is_healthy(bench, jobs)


def test_a_killed_helper_is_followed_by_one_that_leaves_the_bench_working(systemd_bench):
	seed = random.randrange(10**6)
	chance = random.Random(seed)
	for strategy in ("--wait-workers", "--now"):
		jobs = run_long(systemd_bench, 2, 3) if strategy == "--wait-workers" else []
		before = len(Journal(systemd_bench.bench).requests())
		process = start_cli(systemd_bench, strategy, "--yes")
		wait_for(lambda: len(Journal(systemd_bench.bench).requests()) > before)  # noqa: B023
		wait_for(lambda: Journal(systemd_bench.bench).requests(1)[0].helper_pid)
		time.sleep(chance.uniform(0, 6))
		helper = Journal(systemd_bench.bench).requests(1)[0].helper_pid
		if psutil.pid_exists(helper) and Journal(systemd_bench.bench).requests(1)[0].is_open:
			psutil.Process(helper).kill()
		out, err = process.communicate(timeout=120)
		assert process.returncode in (0, 1, 6), f"seed {seed}: {out}{err}"
		print(f"seed {seed}, {strategy}: {Journal(systemd_bench.bench).requests(1)[0].outcome}")
		assert_bench_is_healthy(systemd_bench, jobs)


def test_a_bench_under_two_managers_is_refused_until_somebody_says_which_counts(systemd_bench):
	path = systemd_bench.path
	(path / "config/supervisor").mkdir()
	text = SUPERVISORD_CONFIG.format(path=path, name="other", environment="A=1")
	text += f"[program:schedule]\ncommand={path}/env/bin/bench schedule\n"
	(path / "config/supervisor/supervisord.conf").write_text(
		text.replace("[include]", "").replace("files=", "#")
	)
	words = ["-m", "supervisor.supervisord", "-c", f"{path}/config/supervisor/supervisord.conf"]
	supervisord = subprocess.Popen(
		[sys.executable, *words], env={**systemd_bench.environment, "PATH": "/usr/bin:/bin"}
	)
	try:
		wait_for(lambda: cli(systemd_bench, "plan").exit_code == 2, "both run services")
		said = cli(systemd_bench)
		assert said.exit_code == 2
		assert "under supervisor and systemd at once" in said.text
		config = path / "sites/common_site_config.json"
		settings = {"safe_restart": {"process_manager": "systemd"}}
		config.write_text(json.dumps({**json.loads(config.read_text()), **settings}))
		assert cli(systemd_bench, "plan").exit_code == 0
	finally:
		supervisord.terminate()
		supervisord.wait(20)
