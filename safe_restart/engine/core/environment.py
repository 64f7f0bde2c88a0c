"""What a process stands in: its cgroup, and where Python finds this package. Imports nothing heavy, since the command line
asks before it starts the helper."""

import os
from contextlib import suppress
from pathlib import Path

PACKAGE_ROOT = Path(__file__).resolve().parents[3]


def python_path() -> str:
	"""The PYTHONPATH with which any Python finds this very package, before what it would find otherwise."""
	return os.pathsep.join(filter(None, [str(PACKAGE_ROOT), os.environ.get("PYTHONPATH")]))


def cgroup(pid: int | str) -> str:
	"""Its path in systemd's hierarchy, which ends with its unit; empty where there is none."""
	with suppress(OSError):
		return cgroup_in(Path(f"/proc/{pid}/cgroup").read_text())
	return ""


def cgroup_in(text: str) -> str:
	"""The path that stands in /proc/PID/cgroup: after `0::` in version 2, after `name=systemd` in version 1."""
	lines = [line.split(":", 2) for line in text.splitlines() if line.count(":") >= 2]
	return max((path for number, names, path in lines if names in ("name=systemd", "")), key=len, default="")


def runs_in_a_container() -> bool:
	"""Whether Docker, Podman or Kubernetes started us, by the marks they leave."""
	marks = ("/.dockerenv", "/run/.containerenv")
	return any(map(os.path.exists, marks)) or "KUBERNETES_SERVICE_HOST" in os.environ


def runs_in_a_unit() -> bool:
	"""Whether systemd started us, or whoever did, as part of a service."""
	return cgroup("self").endswith(".service")
