"""Workers out of reach, on hosts of their own, are drained and replaced through Redis alone."""

import json
from functools import partial

import pytest

from safe_restart.demo.bench import Workers
from safe_restart.engine.state.journal import Journal
from tests.support.cli import cli, start_cli
from tests.support.health import assert_bench_is_healthy
from tests.support.hosts import Hosts, skip_without
from tests.support.load import end_jobs, run_long
from tests.support.waiting import wait_for


@pytest.fixture
def make_hosts(make_bench):
	skip_without()
	return partial(make_bench, Hosts)


@pytest.fixture
def hosts(make_hosts) -> Hosts:
	return make_hosts()


def configure(hosts: Hosts, **settings) -> None:
	path = hosts.path / "sites/common_site_config.json"
	config = json.loads(path.read_text())
	config["safe_restart"] |= settings
	path.write_text(json.dumps(config))


def names(hosts: Hosts) -> set[str]:
	return {worker.name for worker in hosts.fleet_reader().read().workers}


@pytest.mark.engine
@pytest.mark.parametrize("strategy", ["--wait-workers", "--no-wait-workers", "rolling"])
def test_idle_workers_on_every_host_are_replaced(hosts, strategy):
	old = names(hosts)
	done = cli(hosts, *[strategy] * (strategy != "rolling"), "--only", "workers", "--json")
	assert done.exit_code == 0, done.text
	assert done.json["workers"] == {"before": 3, "after": 3, "replaced": 3, "still_old": 0}
	assert not old & names(hosts)
	assert_bench_is_healthy(hosts)


@pytest.mark.engine
@pytest.mark.parametrize("strategy", ["--wait-workers", "--no-wait-workers", "rolling"])
def test_jobs_on_every_host_finish_and_new_ones_are_done_once(make_hosts, strategy):
	hosts = make_hosts(workers=(Workers(count=2),))
	old = names(hosts)
	long = run_long(hosts, 4, 4)
	tiny = [hosts.enqueue(0.01, f"tiny-{number}") and f"tiny-{number}" for number in range(20)]
	done = cli(hosts, *[strategy] * (strategy != "rolling"), "--only", "workers", "--json")
	# 6 while jobs still run on old code, which have ended by now on a slow machine
	assert done.exit_code in ((0, 6) if strategy == "--no-wait-workers" else (0,)), done.text
	assert done.json["jobs"]["interrupted"] == 0
	wait_for(lambda: not old & names(hosts), "every worker is new")
	wait_for(lambda: not Journal(hosts.bench).open_requests())
	assert_bench_is_healthy(hosts, long + tiny)


def test_jobs_that_outlast_their_grace_are_interrupted_and_run_again(hosts):
	jobs = run_long(hosts, 2, 60)
	done = cli(hosts, "--now", "--force-kill-timeout", "2", "--only", "workers", "--json")
	assert done.exit_code == 0, done.text
	assert done.json["jobs"]["interrupted"] == done.json["jobs"]["requeued"] == 2
	assert done.json["workers"]["replaced"] == 3
	end_jobs(hosts)
	assert_bench_is_healthy(hosts, jobs, interrupted=jobs)


def test_where_nobody_starts_a_worker_again_only_one_is_lost(hosts):
	old = names(hosts)
	hosts.let_respawn(False)
	configure(hosts, container_return_seconds=5)
	done = cli(hosts, "--only", "workers")
	assert done.exit_code == 1, done.text
	assert "was not started again" in done.text and "restart policy" in done.text
	assert len(old & names(hosts)) == 2
	assert hosts.fleet_reader().read().snapshot.suspended_by is None


@pytest.mark.engine
def test_the_workers_of_one_container_leave_after_their_job_and_the_others_go_on(make_hosts):
	hosts = make_hosts(workers=(Workers(count=2),))
	long = run_long(hosts, 5, 6)
	before = {worker.name: worker.hostname for worker in hosts.fleet_reader().read().workers}
	done = cli(hosts, "drain", "--here", host="host-1")
	assert done.exit_code == 0, done.text
	after = names(hosts)
	assert not {name for name, host in before.items() if host == "host-1"} & after
	assert {name for name, host in before.items() if host != "host-1"} <= after
	assert_bench_is_healthy(hosts, long)


def test_containers_that_stop_at_once_take_turns(hosts):
	"""As the pods of a deployment that is rolled out."""
	tiny = [hosts.enqueue(0.2, f"tiny-{number}") and f"tiny-{number}" for number in range(30)]
	old = names(hosts)
	running = [start_cli(hosts, "drain", "--here", host=f"host-{number}") for number in range(3)]
	said = [process.communicate(timeout=90) for process in running]
	assert [process.returncode for process in running] == [0, 0, 0], said
	wait_for(lambda: not old & names(hosts), "every worker is new")
	assert_bench_is_healthy(hosts, tiny)


def test_where_redis_is_away_nothing_is_waited_for(hosts):
	path = hosts.path / "sites/common_site_config.json"
	path.write_text(json.dumps(json.loads(path.read_text()) | {"redis_queue": "redis://127.0.0.1:1"}))
	refused = cli(hosts, "--only", "workers")
	assert refused.exit_code == 2
	assert refused.seconds < 30  # not the minute in which Redis may come back in mid-restart
	assert "does not answer" in refused.text and "Nothing was touched" in refused.text


def test_a_migration_is_refused_with_another_way(hosts):
	done = cli(hosts, "--migrate")
	assert done.exit_code == 2 and "drain --hold" in done.text, done.text
	assert_bench_is_healthy(hosts)


def test_services_that_nobody_reaches_are_named_with_what_restarts_them(hosts):
	done = cli(hosts, "--json")
	assert done.exit_code == 6, done.text
	(warning,) = done.json["warnings"]
	assert (
		"docker compose restart backend scheduler websocket" in warning
		and "kubectl rollout restart" in warning
	)
	assert done.json["workers"]["replaced"] == 3
	assert_bench_is_healthy(hosts)


def test_a_helper_in_one_container_is_alive_for_the_others(hosts):
	jobs = run_long(hosts, 1, 60)
	process = start_cli(hosts, "--wait-workers", "--only", "workers")
	wait_for(lambda: hosts.redis.exists("rq:suspended"))
	refused = cli(hosts, "--only", "workers", host="host-2")
	assert refused.exit_code == 4, refused.text
	assert "recover" not in cli(hosts, "status", host="host-2").text
	end_jobs(hosts)
	assert process.communicate(timeout=60) and process.returncode == 0
	assert_bench_is_healthy(hosts, jobs)


def test_the_job_of_a_worker_that_died_with_its_container_runs_again(hosts):
	"""After 90 s at the most: sooner, where Redis has run for so long that whoever lives has a connection."""
	jobs = run_long(hosts, 1, 5)
	(running,) = [worker for worker in hosts.fleet_reader().read().workers if worker.is_busy]
	hosts.there[running.hostname].kill_all()
	hosts.add_host(9)
	wait_for(lambda: len(names(hosts)) == 3 and running.name not in names(hosts), seconds=110)
	done = cli(hosts, "--only", "workers", "--json")
	assert done.exit_code == 0, done.text
	assert (done.json["jobs"]["requeued"], done.json["jobs"]["interrupted"]) == (1, 0)
	assert_bench_is_healthy(hosts, jobs, interrupted=jobs)


def test_drain_and_resume_in_different_containers(hosts):
	done = cli(hosts, "drain", "--hold", "60")
	assert done.exit_code == 0, done.text
	hosts.enqueue(0.01, "later")
	assert hosts.runs("begin") == {}
	assert cli(hosts, "resume", host="host-0").exit_code == 0
	assert_bench_is_healthy(hosts, ["later"])
