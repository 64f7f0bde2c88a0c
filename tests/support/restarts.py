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
