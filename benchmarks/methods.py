"""The ways of restarting that are compared, each as the commands a person would type."""

import subprocess
import sys
import time

from safe_restart.demo.bench import DemoBench
from tests.support.hosts import Hosts

from .benches import HOSTS, SYSTEMD

COMMAND_TIMEOUT_SECONDS = 180
GOOD_EXIT_CODES = (0, 6)  # 6: completed with warnings, as where jobs still run on old code
BASE = "supervisorctl restart all"
SYSTEMD_BASE = "systemctl restart <bench>-workers.target"
HOSTS_BASE = "docker compose restart"

# What Docker does with each container: SIGTERM to its first process, and 10 s later SIGKILL.
STOP_CONTAINERS = """
kill -TERM "$@"
for tenth in $(seq 100); do
	for pid; do if kill -0 "$pid"; then sleep 0.1; continue 2; fi; done
	exit 0
done
kill -KILL "$@"
"""


def ours(demo: DemoBench, *flags: str) -> list[str]:
	return demo.command(*flags)


def supervisorctl(demo: DemoBench, *words: str) -> list[str]:
	config = demo.path / "config/supervisor/supervisord.conf"
	return [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(config), *words]


def systemctl(*words: str) -> list[str]:
	return ["systemctl", "--user", *words]


def bench_restart(demo: DemoBench) -> list[list[str]]:
	"""What `bench restart` runs (bench/utils/bench.py: restart_supervisor_processes), without bench's own start."""
	groups = (f"{demo.path.name}-web:", f"{demo.path.name}-workers:")
	return [supervisorctl(demo, "restart", group) for group in groups]


def compose_restart(demo: Hosts) -> list[str]:
	"""Its workers are no containers of Docker's, but are stopped and started again alike."""
	return ["sh", "-c", STOP_CONTAINERS, "docker", *map(str, demo.worker_pids())]


METHODS = {
	"safe-restart": lambda demo: [ours(demo)],
	"safe-restart --wait-workers": lambda demo: [ours(demo, "--wait-workers")],
	"safe-restart --no-wait-workers": lambda demo: [ours(demo, "--no-wait-workers")],
	BASE: lambda demo: [supervisorctl(demo, "restart", "all")],
	"bench restart": bench_restart,
}
# On units as `bench setup systemd` writes them, without our drop-ins
SYSTEMD_METHODS = {
	"safe-restart": METHODS["safe-restart"],
	"safe-restart --wait-workers": METHODS["safe-restart --wait-workers"],
	SYSTEMD_BASE: lambda demo: [systemctl("restart", f"{demo.path.name}-workers.target")],
}

HOSTS_METHODS = {
	"safe-restart --only workers": lambda demo: [demo.command("--only", "workers")],
	"safe-restart --only workers --wait-workers": lambda demo: [
		demo.command("--only", "workers", "--wait-workers")
	],
	HOSTS_BASE: lambda demo: [compose_restart(demo)],
}
BY_SCENARIO = {SYSTEMD: SYSTEMD_METHODS, HOSTS: HOSTS_METHODS}


def run(method: str, demo: DemoBench) -> tuple[float, list[str]]:
	"""Run the method's commands one after another; returns their wall time in seconds, and a sentence for each that failed.

	Raises subprocess.TimeoutExpired after COMMAND_TIMEOUT_SECONDS.
	"""
	began = time.monotonic()
	problems = run_commands((METHODS | SYSTEMD_METHODS | HOSTS_METHODS)[method](demo))
	return time.monotonic() - began, problems


def run_commands(commands: list[list[str]]) -> list[str]:
	"""Run them one after another; returns a sentence for each that failed. Raises subprocess.TimeoutExpired."""
	problems = []
	for command in commands:
		done = subprocess.run(
			command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_SECONDS
		)
		if done.returncode not in GOOD_EXIT_CODES:
			said = (done.stderr or done.stdout).strip().splitlines()
			problems.append(f"exit code {done.returncode}: {said[-1] if said else 'it said nothing'}")
	return problems
