"""The surroundings of a process: its cgroup, its container, and the folder in which Python finds this package.

Imports nothing heavy, since the command line uses this before it starts the helper.
"""

import os
from contextlib import suppress
from pathlib import Path

PACKAGE_ROOT = Path(__file__).resolve().parents[3]


def python_path() -> str:
	"""The PYTHONPATH with which any Python finds this copy of the package first."""
	return os.pathsep.join(filter(None, [str(PACKAGE_ROOT), os.environ.get("PYTHONPATH")]))


def cgroup(pid: int | str) -> str:
	"""The path of a process in systemd's hierarchy, which ends with its unit; empty where there is none."""
	with suppress(OSError):
		return cgroup_in(Path(f"/proc/{pid}/cgroup").read_text())
	return ""


def cgroup_in(text: str) -> str:
	"""The path in the text of /proc/PID/cgroup: after `0::` in version 2, after `name=systemd` in version 1."""
	lines = [line.split(":", 2) for line in text.splitlines() if line.count(":") >= 2]
	return max((path for number, names, path in lines if names in ("name=systemd", "")), key=len, default="")


def runs_in_a_container() -> bool:
	"""Whether this process runs in a container of Docker, Podman or Kubernetes, by the marks that those leave."""
	marks = ("/.dockerenv", "/run/.containerenv")
	return any(map(os.path.exists, marks)) or "KUBERNETES_SERVICE_HOST" in os.environ


def runs_in_a_unit() -> bool:
	"""Whether this process is part of a systemd service."""
	return cgroup("self").endswith(".service")
