"""Programs that a person added to supervisor.conf: workers called in unusual ways are workers, what is unknown is left
alone and named, and what a person keeps down stays down."""

import sys

import psutil
import pytest

from safe_restart.demo.bench import DemoBench, Workers
from safe_restart.engine.core.environment import python_path
from safe_restart.engine.processes import tree
from safe_restart.engine.state.journal import Journal
from tests.support.cli import cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import end_jobs, run_long
from tests.support.restarts import worker_pids
from tests.support.waiting import wait_for

pytestmark = pytest.mark.engine

HELPER = f"env PYTHONPATH={{path}}/apps/frappe:{python_path()} {sys.executable} -m frappe.utils.bench_helper"
UNUSUAL = (
	Workers(queues="default", count=1, command=f"{HELPER} frappe {{verb}} --queue {{queues}}"),
	Workers(queues="default", count=1, command="sh -c 'cd {path} && {bench} {verb} --queue {queues}'"),
	Workers(queues="default", count=1, command="{bench} --site demo.localhost {verb} --queue {queues}"),
	Workers(queues="default", count=2, command="env HERE=%(ENV_PATH)s {bench} {verb} --queue {queues}"),
	Workers(
		queues="default",
		count=1,
		pool_size=2,
		command="sh -c \"cd {path}; {bench} {verb} --queue '{queues}'; exit $?\"",
	),
)
WORKERS = 7

UNKNOWN = """
[program:{name}-mail-fetcher]
command=/bin/sh -c 'exec sleep 100000' bench mail-fetcher
directory={path}

[program:celery]
command=/bin/sh -c 'cd {path}/bench && exec sleep 100000' celery -A shop worker
directory={path}
environment=HERE="%(ENV_PATH)s"
"""
KEPT_DOWN = """
[program:{name}-on-demand]
command={path}/env/bin/bench worker --queue long
directory={path}
autostart=false
autorestart=false
stopwaitsecs=1560
"""


def add_helper(demo: DemoBench) -> None:
	"""What `bench` itself calls, by its own name (bench.cli.frappe_cmd)."""
	package = demo.path / "apps/frappe/frappe/utils"
	package.mkdir(parents=True)
	(package / "bench_helper.py").write_text(
		"import sys\nfrom safe_restart.demo.app import main\nmain(sys.argv[1:])\n"
	)


def add(sections: str, to_group: str = ""):
	"""Add programs; those of the bench's name into one of its own groups, the others stand alone."""

	def tinker(demo: DemoBench) -> None:
		config, name = demo.path / "config/supervisor.conf", demo.path.name
		(demo.path / "bench").mkdir()  # a word that bench's commands are known by
		text = config.read_text() + sections.format(path=demo.path, name=name)
		if to_group:
			label = sections.partition("[program:")[2].partition("]")[0].format(name=name)
			group = f"[group:{name}-{to_group}]\nprograms="
			text = text.replace(group, f"{group}{label},")
		config.write_text(text)

	return tinker


def pids(demo: DemoBench) -> dict[str, int]:
	return {service.name: service.pid for service in demo.fleet_reader().manager.services()}


def all_below(demo: DemoBench) -> list[psutil.Process]:
	"""Everything that the workers programs consist of: shells, pools, workers, work-horses."""
	return [process for pid in worker_pids(demo) for process in tree.family(psutil.Process(pid))]


@pytest.fixture
def unusual(make_bench) -> DemoBench:
	return make_bench(before_start=add_helper, workers=UNUSUAL, web=False)


@pytest.mark.parametrize("words", [(), ("--wait-workers",)], ids=["rolling", "wait-workers"])
def test_workers_called_in_unusual_ways_finish_their_job_and_are_replaced(unusual, words):
	old = all_below(unusual)
	jobs = run_long(unusual, WORKERS - 1, 4)
	horses = all_below(unusual)

	done = cli(unusual, *words, "--json")
	said = [event.text for event in Journal(unusual.bench).events(done.json["request"], 0)]

	assert done.exit_code == 0, done.text
	assert done.json["jobs"]["interrupted"] == done.json["jobs"]["lost_and_found"] == 0
	assert done.json["workers"]["before"] == WORKERS
	assert not [one for one in [*old, *horses] if tree.is_alive(one)]
	assert not [text for text in said if "orphan" in text or "gave no proof" in text]
	assert_bench_is_healthy(unusual, jobs)


def test_a_worker_behind_a_shell_is_killed_with_it_and_its_job_runs_again(unusual):
	jobs = run_long(unusual, WORKERS, 60)
	old = all_below(unusual)
	done = cli(unusual, "--now", "--force-kill-timeout", "0", "--yes", "--json")
	assert done.exit_code == 0, done.text
	assert not [one for one in old if tree.is_alive(one)]
	end_jobs(unusual)
	assert_bench_is_healthy(unusual, jobs, interrupted=jobs)
	# One that ended before it was its turn needed no rescue.
	assert sum(unusual.runs("begin").values()) == WORKERS + done.json["jobs"]["interrupted"] > WORKERS


def test_a_scheduler_behind_a_shell_leaves_with_it(make_bench):
	def tinker(demo: DemoBench) -> None:
		config = demo.path / "config/supervisor.conf"
		schedule = f"{demo.path}/env/bin/bench schedule"
		text = config.read_text()
		config.write_text(
			text.replace(f"command={schedule}", f"command=sh -c 'cd {demo.path} && {schedule}'")
		)

	demo = make_bench(before_start=tinker, workers=(Workers(count=1),), web=False)
	[service] = [service for service in demo.fleet_reader().manager.services() if service.kind == "scheduler"]
	wait_for(lambda: len(tree.family(psutil.Process(service.pid))) == 2, "the scheduler is up")
	old = tree.family(psutil.Process(service.pid))
	done = cli(demo, "--only", "scheduler", "--json")
	assert done.exit_code == 0, done.text
	assert "left by a" not in cli(demo, "show", done.json["request"]).out
	assert not [one for one in old if tree.is_alive(one)]
	assert_bench_is_healthy(demo)


@pytest.mark.parametrize(
	("group", "restarts"),
	[
		("", [(), ("--now", "--yes")]),
		pytest.param(
			"workers", [("--wait-workers",), ("--migrate", "--yes")], marks=pytest.mark.slow("two restarts")
		),
	],
	ids=["own group", "the bench's group"],
)
def test_a_program_that_is_no_service_of_bench_is_left_alone_and_named(make_bench, group, restarts):
	demo = make_bench(before_start=add(UNKNOWN, group), workers=(Workers(count=1),), web=False)
	before = {name: pid for name, pid in pids(demo).items() if "mail-fetcher" in name or "celery" in name}
	assert len(before) == 2
	jobs = run_long(demo, 1, 2)
	for words in restarts:
		done = cli(demo, *words, "--json")
		assert done.exit_code == 0, done.text
		assert done.json["workers"]["replaced"] == 1
	doctor = cli(demo, "doctor").out
	for name, pid in before.items():
		assert pids(demo)[name] == pid
		assert f"{name} is no service bench knows; it is left alone" in doctor
	assert_bench_is_healthy(demo, jobs)


def on_demand(demo: DemoBench):
	return next(s for s in demo.fleet_reader().manager.services() if s.name.endswith("on-demand"))


def test_a_program_that_a_person_keeps_down_stays_down_and_is_named(make_bench):
	"""autostart=false says that it runs when a person wants it to; nobody expects a deployment to want that."""
	demo = make_bench(before_start=add(KEPT_DOWN, "workers"), workers=(Workers(count=1),), web=False)
	name = on_demand(demo).name
	for words in [(), ("--wait-workers",), ("--migrate", "--yes")]:
		done = cli(demo, *words, "--json")
		assert done.exit_code == 0, done.text
		assert done.json["workers"] == {"before": 1, "after": 1, "replaced": 1, "still_old": 0}
		assert on_demand(demo).state == "stopped"
	doctor = cli(demo, "doctor")
	assert f"{name} is down and has autostart=false; a restart leaves it down" in doctor.out
	assert_bench_is_healthy(demo, down=[name])


@pytest.mark.slow("three restarts")
def test_a_program_that_a_person_started_is_replaced_and_up_again(
	make_bench,
):
	demo = make_bench(before_start=add(KEPT_DOWN, "workers"), workers=(Workers(count=1),), web=False)
	fleet_reader = demo.fleet_reader()
	fleet_reader.manager.start(on_demand(demo))
	wait_for(lambda: len(fleet_reader.read().workers) == 2, "it has registered")
	for words in [(), ("--wait-workers",), ("--migrate", "--yes")]:
		old = on_demand(demo).pid
		done = cli(demo, *words, "--json")
		assert done.exit_code == 0, done.text
		assert done.json["workers"] == {"before": 2, "after": 2, "replaced": 2, "still_old": 0}
		assert on_demand(demo).pid not in (0, old)
	fleet_reader.manager.stop(on_demand(demo))
	wait_for(lambda: on_demand(demo).state == "stopped", "it is down")
	assert_bench_is_healthy(demo, down=[on_demand(demo).name])


def test_setup_web_starts_again_what_a_person_had_started_in_the_webs_group(make_bench):
	demo = make_bench(before_start=add(KEPT_DOWN, "web"), workers=(Workers(count=1),))
	fleet_reader = demo.fleet_reader()
	fleet_reader.manager.start(on_demand(demo))
	wait_for(lambda: len(fleet_reader.read().workers) == 2, "it has registered")
	assert cli(demo, "setup", "web", "--yes").exit_code == 0
	wait_for(lambda: len(demo.fleet_reader().read().workers) == 2, "it is up again")
	fleet_reader.manager.stop(on_demand(demo))
	wait_for(lambda: on_demand(demo).state == "stopped", "it is down")
	assert_bench_is_healthy(demo, down=[on_demand(demo).name])


def test_a_program_that_was_stopped_but_has_autostart_comes_back_with_a_restart(demo):
	"""It would come back with supervisord or the machine as well, and `bench restart` starts it too."""
	fleet_reader = demo.fleet_reader()
	stopped = next(
		service for service in fleet_reader.manager.services() if service.name.endswith("worker-0")
	)
	fleet_reader.manager.stop(stopped)
	wait_for(lambda: len(fleet_reader.read().workers) == 2, "it is down")
	done = cli(demo, "--json")
	assert done.exit_code == 0, done.text
	assert done.json["workers"]["after"] == 3
	assert_bench_is_healthy(demo)
