"""Two benches, the name of one the beginning of the other's, in one supervisord or on one Redis: neither is touched by
what is done to the other."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rq.job import Job
from rq.registry import StartedJobRegistry

from safe_restart.demo.bench import DemoBench, Workers
from safe_restart.engine.rq import snapshot
from safe_restart.engine.rq.suspension import LEASE_SECONDS
from safe_restart.engine.web import health as web_health
from tests.support.cli import cli, start_cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import run_long
from tests.support.restarts import (
	start_draining,
	wait_until_no_worker_is_idle,
	wait_until_workers_look_again,
	worker_pids,
)
from tests.support.waiting import wait_for

pytestmark = pytest.mark.engine

A_FEW = (Workers(count=2),)


@dataclass
class Guest(DemoBench):
	"""A bench whose programs run in the supervisord of another one, as those of all benches of a server do."""

	host: DemoBench | None = None

	def write(self) -> None:
		super().write()
		path = self.path / "sites/common_site_config.json"
		settings = {"safe_restart": {"supervisor_socket": str(self.host.supervisor_socket)}}
		path.write_text(json.dumps(json.loads(path.read_text()) | settings))

	def programs(self) -> list[str]:
		environment = ",".join(f'{name}="{value}"' for name, value in self.environment.items())
		return [
			part.replace("\ndirectory=", f"\nenvironment={environment}\ndirectory=")
			for part in super().programs()
		]

	def launch(self) -> None:
		config = self.host.path / "config/supervisor/supervisord.conf"
		config.write_text(f"{config.read_text().rstrip()} {self.path}/config/supervisor.conf\n")
		manager = self.host.fleet_reader().manager
		[[added, changed, removed]] = manager.call("reloadConfig")
		assert added and not changed and not removed
		for group in added:
			manager.call("addProcessGroup", group)
		self.supervisord = self.host.supervisord


Pair = tuple[DemoBench, DemoBench]


@pytest.fixture
def folder() -> Iterator[Path]:
	"""A folder with a short name, as the path of a socket has 108 bytes at most (unix(7))."""
	folder = Path(tempfile.mkdtemp(prefix="safe-restart-"))
	yield folder
	shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def make_pair(folder, make_bench) -> Callable[..., Pair]:
	"""Makes `bench` and `bench-2`, which share what is asked for."""

	def make(supervisor: bool = False, redis: bool = False, **options) -> Pair:
		options = {"workers": A_FEW, "web": False, **options}
		one = make_bench(path=folder / "bench", **options)
		shared = {"queue_url": one.queue_url} if redis else {}
		if supervisor:
			return one, make_bench(Guest, path=folder / "bench-2", host=one, **shared, **options)
		return one, make_bench(path=folder / "bench-2", **shared, **options)

	return make


@pytest.fixture
def on_one_redis(make_pair) -> Pair:
	return make_pair(redis=True)


def what_is_there(demo: DemoBench) -> dict:
	"""All of a bench that a restart of another one must leave as it is."""
	wait_for(lambda: all(service.state == "running" for service in demo.fleet_reader().manager.services()))
	files = [
		*demo.path.glob("logs/*"),
		*demo.path.glob("config/**/*.conf"),
		*demo.path.glob("sites/.safe-restart/*"),
	]
	return {
		"processes": {(s.name, s.state, s.pid, s.started_at) for s in demo.fleet_reader().manager.services()},
		"files": {
			path: path.read_bytes()
			for path in files
			if "redis" not in path.name and "supervisord" not in path.name
		},
		"workers": {(worker.name, worker.pid) for worker in demo.fleet_reader().read().workers},
	}


@pytest.mark.slow("five restarts of two benches")
def test_a_restart_in_a_supervisord_with_another_bench_leaves_all_of_that_as_it_was(make_pair):
	one, two = make_pair(supervisor=True, web=True)
	theirs, mine = run_long(two, 1, 12), []
	before = what_is_there(two)
	for words in [(), ("--wait-workers",), ("--no-wait-workers",), ("--now", "--yes")]:
		old = worker_pids(one)
		mine.append("-".join(("job", *words)))
		one.enqueue(0.5, mine[-1])
		done = cli(one, *words, "--json")
		assert done.exit_code in (0, 6), done.text
		assert done.json["workers"]["before"] == 2
		wait_for(lambda old=old: not old & worker_pids(one), "all of its own workers are new")
		assert what_is_there(two) == before
	before, old = what_is_there(one), worker_pids(two)
	assert cli(two).exit_code == 0
	wait_for(lambda: not old & worker_pids(two), "the other's are new too")
	assert what_is_there(one) == before
	assert_bench_is_healthy(one, mine)
	assert_bench_is_healthy(two, theirs)


def test_status_and_doctor_show_the_programs_of_their_own_bench_only(make_pair):
	for demo in make_pair(supervisor=True, redis=True):
		names = [service["name"] for service in cli(demo, "status", "--json").json["services"]]
		others = {"bench": "bench-2-"}.get(demo.path.name, "bench-frappe")
		assert names and not [name for name in names if others in name]
		doctor = cli(demo, "doctor")
		assert doctor.exit_code == 0, doctor.text
		assert "2 workers" in doctor.text and others not in doctor.text
		assert_bench_is_healthy(demo)


@pytest.mark.slow("two benches with a web each")
def test_setup_web_loads_the_web_of_its_own_bench_and_no_change_of_another(make_pair):
	one, two = make_pair(supervisor=True, web=True)
	config = two.path / "config/supervisor.conf"
	config.write_text(config.read_text().replace("stopwaitsecs=40", "stopwaitsecs=41"))
	before = what_is_there(two)

	done = cli(one, "setup", "web", "--yes")

	assert done.exit_code == 0, done.text
	assert "bench-2-web" in done.text and "supervisorctl update" in done.text
	assert "without refusing a request" in cli(one, "doctor").text
	assert what_is_there(two) == before
	assert web_health.ask(two.bench, two.bench.sites[0]).is_ok
	for demo in (one, two):
		assert_bench_is_healthy(demo)


@pytest.mark.slow("two benches")
def test_a_restart_that_holds_the_queues_says_first_that_another_bench_waits(
	on_one_redis,
):
	one, two = on_one_redis
	assert "bench-2" in cli(one, "plan", "wait-workers").out
	assert "bench-2" not in cli(one, "plan", "rolling").out
	before, theirs = what_is_there(two), run_long(two, 1, 5)
	mine = run_long(one, 1, 3)

	process = start_draining(one, "--json")
	# Its idle worker runs one more job, as it never notices the flag (FACTS 1.1); the others wait.
	theirs += [f"waits-{number}" for number in range(5)]
	for name in theirs[1:]:
		two.enqueue(0.01, name)
	wait_until_no_worker_is_idle(two)
	wait_until_workers_look_again(two)
	assert sum(two.runs("begin").values()) <= 2
	out, err = process.communicate(timeout=60)

	assert process.returncode == 6, out + err
	report = json.loads(out)
	assert [warning for warning in report["warnings"] if "bench-2 uses the same Redis" in warning] == report[
		"warnings"
	]
	assert report["workers"] == {"before": 2, "after": 2, "replaced": 2, "still_old": 0}
	assert (report["jobs"]["running_at_start"], report["jobs"]["queued_at_start"]) == (1, 0)
	assert_bench_is_healthy(one, mine)
	assert_bench_is_healthy(two, theirs)
	assert what_is_there(two) == before


def leave_broken_jobs(demo: DemoBench) -> list[tuple[str, str]]:
	"""A job that was lost, one whose worker is dead, and the registration of that; returns ids and status."""
	redis, prefix = demo.redis, demo.bench.queue_prefix
	lost, interrupted = (demo.enqueue(0.01, name, queue="long") for name in ("lost", "interrupted"))
	redis.delete(f"rq:queue:{prefix}long")
	redis.hset(f"rq:job:{interrupted}", mapping={"status": "started", "worker_name": "gone"})
	job = Job.fetch(interrupted, connection=redis)
	redis.zadd(StartedJobRegistry(f"{prefix}long", connection=redis).key, {job.id: time.time() + 1000})
	redis.sadd("rq:workers", "rq:worker:gone", "rq:worker:forgotten")
	redis.sadd(f"rq:workers:{prefix}long", "rq:worker:gone", "rq:worker:forgotten")
	redis.hset("rq:worker:gone", "last_heartbeat", "2026-01-01T00:00:00.000000Z")
	return [(lost, "queued"), (interrupted, "started")]


@pytest.mark.slow("two benches")
def test_jobs_and_workers_that_died_on_one_bench_are_found_by_that_bench_only(
	make_pair,
):
	one, two = make_pair(redis=True, workers=(Workers(queues="default", count=1),))
	broken = leave_broken_jobs(two)
	own = run_long(one, 1, 30)

	done = cli(one, "--now", "--force-kill-timeout", "0", "--interrupted", "fail", "--yes", "--json")

	assert done.exit_code == 0, done.text
	assert done.json["jobs"] | {"finished_during": 0} == {
		"running_at_start": 1,
		"queued_at_start": 0,
		"finished_during": 0,
		"interrupted": 1,
		"requeued": 0,
		"delayed": 0,
		"held": 0,
		"lost_and_found": 0,
	}
	assert own[0] in one.runs("begin") and own[0] not in one.runs()
	rq_reader = snapshot.RqReader(two.bench)
	assert [(job.id, job.status) for job in rq_reader.jobs([id for id, _ in broken])] == broken
	assert {worker.name for worker in rq_reader.snapshot().stale} == {"gone", "forgotten"}
	assert "forgotten" not in cli(one, "doctor").out
	assert "forgotten" in cli(two, "doctor").out

	assert cli(two, "--json").json["jobs"]["lost_and_found"] == 2
	assert [job.status for job in rq_reader.jobs([id for id, _ in broken])] == ["queued", "queued"]
	assert not rq_reader.snapshot().stale
	two.redis.delete(f"rq:queue:{two.bench.queue_prefix}long", *[f"rq:job:{id}" for id, _ in broken])
	assert_bench_is_healthy(two)


@pytest.mark.parametrize(
	("first", "second"),
	[
		((), ()),
		pytest.param(("--wait-workers",), ("--wait-workers",), marks=pytest.mark.slow("another strategy")),
	],
	ids=["rolling", "wait-workers"],
)
def test_both_benches_restarted_at_the_same_time_lose_nothing_and_both_work(on_one_redis, first, second):
	jobs = [run_long(demo, 1, 3) for demo in on_one_redis]
	old = [worker_pids(demo) for demo in on_one_redis]
	for demo, names in zip(on_one_redis, jobs):
		for number in range(20):
			names.append(f"short-{number}")
			demo.enqueue(0.01, names[-1])

	running = [start_cli(demo, *words, "--json") for demo, words in zip(on_one_redis, (first, second))]

	for demo, pids, process in zip(on_one_redis, old, running):
		out, err = process.communicate(timeout=90)
		assert process.returncode in (0, 6), out + err
		report = json.loads(out)
		assert report["jobs"]["interrupted"] == report["jobs"]["lost_and_found"] == 0
		wait_for(lambda demo=demo, pids=pids: not pids & worker_pids(demo), "all workers are new")
	wait_for(
		lambda: not on_one_redis[0].redis.exists("rq:suspended"),
		"both gave the queues back",
		LEASE_SECONDS / 2,
	)
	for demo, names in zip(on_one_redis, jobs):
		assert_bench_is_healthy(demo, names)


def hold(demo: DemoBench) -> None:
	assert cli(demo, "drain", "--hold", "300").exit_code == 0


def test_a_restart_under_the_hold_of_another_bench_leaves_that_hold_and_says_so(on_one_redis):
	one, two = on_one_redis
	hold(one)
	token, old = one.redis.get("rq:suspended"), worker_pids(two)

	done = cli(two, "--json")

	assert done.exit_code == 6, done.text
	[warning] = done.json["warnings"]
	assert "suspended by a restart of bench, on the same Redis" in warning and "redis-cli" not in done.text
	assert not old & worker_pids(two)
	assert one.redis.get("rq:suspended") == token
	refused = cli(two, "resume")
	assert refused.exit_code == 1 and "restart of bench," in refused.text and "ends by itself" in refused.text
	assert "ends by itself" in cli(two, "doctor").out
	assert [cli(demo, "status", "--json").json["suspended_by_bench"] for demo in on_one_redis] == [
		None,
		"bench",
	]
	assert "restart of bench," in cli(two, "status").out
	assert one.redis.get("rq:suspended") == token
	two.enqueue(0.01, "waits")
	wait_until_workers_look_again(two)
	assert not two.runs()
	assert cli(one, "resume").exit_code == 0
	assert_bench_is_healthy(one)
	assert_bench_is_healthy(two, ["waits"])


@pytest.mark.slow("two benches")
def test_a_hold_that_waits_for_another_benchs_hold_begins_when_that_ends(on_one_redis):
	one, two = on_one_redis
	hold(one)
	hold(two)
	assert cli(one, "resume").exit_code in (0, 1)
	wait_for(
		lambda: (two.redis.get("rq:suspended") or b"").startswith(b"safe-restart:bench-2:"), "it has it now"
	)
	workers = two.fleet_reader().read
	wait_for(
		lambda: len(workers().workers) == two.all_workers and all(w.is_suspended for w in workers().workers)
	)
	two.enqueue(0.01, "waits")
	wait_until_workers_look_again(two)
	assert not two.runs()
	assert cli(two, "resume").exit_code == 0
	assert_bench_is_healthy(one)
	assert_bench_is_healthy(two, ["waits"])


def test_a_redis_that_another_bench_uses_is_not_restarted_under_its_jobs(on_one_redis):
	one, two = on_one_redis
	jobs = run_long(two, 1, 3)
	done = cli(one, "--wait-workers", "--only", "redis,workers")
	assert done.exit_code == 2, done.text
	assert "bench-2" in done.text and "Nothing was touched" in done.text
	assert_bench_is_healthy(one)
	assert_bench_is_healthy(two, jobs)
