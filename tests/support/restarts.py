"""A restart that goes on, and what it replaces."""

import subprocess

import psutil

from safe_restart.demo.bench import DemoBench
from safe_restart.engine.state.journal import Journal

from .cli import start_cli
from .waiting import wait_for


def start_draining(demo: DemoBench, *words: str) -> subprocess.Popen:
	"""Start a restart that waits for running jobs, and return once it holds new ones back."""
	process = start_cli(demo, "--wait-workers", *words)
	wait_for(lambda: demo.redis.exists("rq:suspended"), "the queues are suspended")
	return process


def helper_of(demo: DemoBench) -> psutil.Process:
	"""The process that carries out the newest request, once there is one."""

	def pid() -> int | None:
		newest = Journal(demo.bench).requests(1)
		return newest[0].helper_pid if newest else None

	wait_for(pid, "a helper has begun")
	return psutil.Process(pid())


def worker_pids(demo: DemoBench) -> set[int]:
	return {service.pid for service in demo.fleet_reader().manager.services() if service.kind == "workers"}


def newest_steps(demo: DemoBench) -> list[str]:
	"""The steps that the newest request has begun so far."""
	journal = Journal(demo.bench)
	newest = journal.requests(1)
	return [step.name for step in journal.steps(newest[0].id)] if newest else []


def wait_for_step(demo: DemoBench, name: str) -> None:
	wait_for(lambda: name in newest_steps(demo), f"step {name} has begun")


def wait_until_no_worker_is_idle(demo: DemoBench) -> None:
	"""Until each worker is suspended or in a job: an idle one never notices a suspension, and takes one more job (FACTS 1.1)."""

	def is_none_idle() -> bool:
		workers = demo.fleet_reader().read().workers
		return any(w.is_suspended for w in workers) and all(w.is_suspended or w.is_busy for w in workers)

	wait_for(is_none_idle, "each worker is suspended or in a job")


def wait_until_workers_look_again(demo: DemoBench) -> None:
	"""Until a worker is suspended and each that is has read the suspension anew: it would have begun a job by then.

	It writes its heartbeat in the transaction in which it reads the suspension, once a second (FACTS 6.2). After the first
	such look a job may still be about to begin, after the second not.
	"""
	wait_for(lambda: heartbeats(demo), "a worker is suspended")
	for _ in range(2):
		before = heartbeats(demo)
		wait_for(
			lambda before=before: not before.items() & heartbeats(demo).items(),
			"suspended workers look again",
		)


def heartbeats(demo: DemoBench) -> dict[str, str]:
	"""The last heartbeat of each suspended worker, by name."""
	workers = demo.fleet_reader().read().workers
	return {worker.name: worker.last_heartbeat for worker in workers if worker.is_suspended}
