"""Fleets as they are seen, for decisions that need no process."""

from pathlib import Path

from safe_restart.engine.core.bench import Bench
from safe_restart.engine.managers.base import Service
from safe_restart.engine.rq.snapshot import RqSnapshot, Worker
from safe_restart.engine.workers.fleet import Fleet, WorkerProgram

NOW = 1_800_000_000.0
BENCH = Bench(Path("/home/frappe/bench"), {"workers": {"reports": {"timeout": 3000}}})


def worker(name="w", state="idle", heartbeat="1", job=None, shutdown=False, pid=10) -> Worker:
	return Worker(name, pid, "", "", state, ("b:default",), job, None, heartbeat, shutdown)


def fleet(*workers: Worker, suspended_by=None, jobs=()) -> Fleet:
	snapshot = RqSnapshot(NOW, suspended_by, -2, workers, (), {job.id: job for job in jobs}, (), {})
	service = Service("g:w", "workers", "running", 10, 0, 360, "bench worker", ())
	return Fleet(snapshot, (WorkerProgram(service, workers),), (), ())
