"""The one question that each integration test ends with."""

import os

import psutil

from safe_restart.demo import app
from safe_restart.demo.bench import DemoBench
from safe_restart.engine.jobs.rescue import find_suspects
from safe_restart.engine.processes import tree
from safe_restart.engine.web import health as web_health

from .waiting import wait_for


def assert_bench_is_healthy(
	demo: DemoBench, jobs: list[str] = (), interrupted: list[str] = (), down: list[str] = ()
) -> None:
	"""What must be true after any restart, however it went.

	No suspension; every job done exactly once (an interrupted one ended once, however often it began); nothing
	failed, lost or half started; all services up but those that a person keeps `down`, all workers registered, no ghost
	and no orphan.
	"""
	wait_for(lambda: set(demo.runs()) >= set(jobs), f"jobs done: {set(jobs) - set(demo.runs())}")
	begun, ended = demo.runs("begin"), demo.runs("end")
	assert {name: ended[name] for name in jobs} == dict.fromkeys(jobs, 1)
	uninterrupted = [name for name in jobs if name not in interrupted]
	assert {name: begun[name] for name in uninterrupted} == dict.fromkeys(uninterrupted, 1)

	fleet_reader = demo.fleet_reader()
	wait_for(lambda: len(fleet_reader.read().workers) == demo.all_workers, "all workers registered")
	wait_for(lambda: not fleet_reader.read().running, "no job runs")
	wait_for(
		lambda: {s.name for s in fleet_reader.manager.services() if s.state != "running"} == set(down),
		"all run",
	)
	fleet = fleet_reader.read()
	assert fleet.snapshot.suspended_by is None
	assert not fleet.stale
	assert not fleet.unmanaged
	for queue in fleet.snapshot.queues:
		assert (queue.depth, queue.started, queue.intermediate, queue.failed) == (0, (), 0, 0), queue
	suspects = find_suspects(demo.bench, fleet_reader.rq_reader.redis, fleet)
	assert not suspects.queued and not suspects.started
	assert orphans(demo) == []
	if demo.web:
		assert web_health.ask(demo.bench, app.SITE).is_ok


def orphans(demo: DemoBench) -> list[psutil.Process]:
	"""Processes of the bench that neither supervisord nor this test keeps."""
	found = []
	for process in tree.inside(demo.path):
		ancestors = tree.ancestors(process)
		if not {*demo.manager_pids, os.getpid()} & set(ancestors):
			found.append(process)
	return found
