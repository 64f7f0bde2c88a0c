"""A restart keeps its promises on a bench whose services are systemd's units."""

import time

import pytest

from ..conftest import assert_bench_is_healthy, cli, run_long, wait_for, worker_pids


def by_name(bench) -> dict:
	return {service.name: service for service in bench.watch().manager.services()}


def test_units_are_seen_with_their_kind_state_pid_and_command(systemd_bench):
	manager = systemd_bench.watch().manager
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
	before = {s.name: s.pid for s in systemd_bench.watch().manager.services()}
	jobs = run_long(systemd_bench, 3, 4)
	jobs += [f"short-{number}" for number in range(10)]
	for name in jobs[3:]:
		systemd_bench.enqueue(0.01, name)

	done = cli(systemd_bench, *flags, "--json")

	assert done.exit_code == 0, done.text
	assert done.json["jobs"]["interrupted"] == 0
	assert done.json["workers"] == {"before": 4, "after": 4, "replaced": 4, "still_old": 0}
	same = [s.kind for s in systemd_bench.watch().manager.services() if s.pid == before[s.name]]
	assert same == ["redis"]
	assert_bench_is_healthy(systemd_bench, jobs)


def test_no_wait_workers_returns_and_replaces_busy_workers_when_they_are_done(systemd_bench):
	old = worker_pids(systemd_bench)
	jobs = run_long(systemd_bench, 3, 16)
	done = cli(systemd_bench, "--no-wait-workers", "--json")
	assert done.exit_code == 6, done.text
	assert done.json["workers"]["still_old"] == 3
	wait_for(lambda: not old & worker_pids(systemd_bench))
	assert_bench_is_healthy(systemd_bench, jobs)


@pytest.mark.parametrize("strategy", ["--now", "--suspend-rq"])
def test_interrupted_jobs_run_again(systemd_bench, strategy):
	jobs = run_long(systemd_bench, 2, 16)
	done = cli(systemd_bench, strategy, "--force-kill-timeout", "1", "--yes", "--json")
	assert done.exit_code == 0, done.text
	assert done.json["jobs"]["interrupted"] == done.json["jobs"]["requeued"] == 2
	assert_bench_is_healthy(systemd_bench, jobs, interrupted=jobs)
