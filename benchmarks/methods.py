"""The ways of restarting that are compared, each as the commands a person would type."""

import subprocess
import sys
import time

from safe_restart.demo.bench import DemoBench

COMMAND_TIMEOUT_SECONDS = 180
BASE = "supervisorctl restart all"


def ours(demo: DemoBench, *flags: str) -> list[str]:
	return [sys.executable, "-m", "safe_restart", "--bench", str(demo.path), *flags]


def supervisorctl(demo: DemoBench, *words: str) -> list[str]:
	config = demo.path / "config/supervisor/supervisord.conf"
	return [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(config), *words]


def bench_restart(demo: DemoBench) -> list[list[str]]:
	"""What `bench restart` runs (bench/utils/bench.py: restart_supervisor_processes), without bench's own start."""
	groups = (f"{demo.path.name}-web:", f"{demo.path.name}-workers:")
	return [supervisorctl(demo, "restart", group) for group in groups]


METHODS = {
	"safe-restart": lambda demo: [ours(demo)],
	"safe-restart --wait-workers": lambda demo: [ours(demo, "--wait-workers")],
	"safe-restart --no-wait-workers": lambda demo: [ours(demo, "--no-wait-workers")],
	BASE: lambda demo: [supervisorctl(demo, "restart", "all")],
	"bench restart": bench_restart,
}


def run(method: str, demo: DemoBench) -> tuple[float, list[int]]:
	"""Run the method's commands one after another; returns their wall time in seconds and their exit codes.

	Raises subprocess.TimeoutExpired after COMMAND_TIMEOUT_SECONDS.
	"""
	began, exit_codes = time.monotonic(), []
	for command in METHODS[method](demo):
		done = subprocess.run(
			command, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_TIMEOUT_SECONDS
		)
		exit_codes.append(done.returncode)
	return time.monotonic() - began, exit_codes
