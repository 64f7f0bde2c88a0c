"""Sites that lie on disk only, and other processes that use them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from safe_restart.demo.app import SITE
from safe_restart.demo.bench import DemoBench
from safe_restart.engine.core.bench import Bench

OTHER_SITE = "other.localhost"
BOTH_ON = {"maintenance_mode": 1, "pause_scheduler": 1}
SECRETS = {"db_name": "_1", "db_password": "päss"}
NOBODY = 65534


as_root = pytest.mark.skipif(
	os.geteuid() != 0, reason="only root can give files to somebody else: run the tests as root"
)


def config_path(bench: Bench | DemoBench, site: str = SITE) -> Path:
	return bench.path / "sites" / site / "site_config.json"


def read(bench: Bench, site: str = SITE) -> dict:
	return json.loads(config_path(bench, site).read_text())


def write_as_frappe(path: Path, config: dict) -> None:
	path.write_text(json.dumps(config, indent=1, sort_keys=True))


def lock_path(bench: Bench, name: str) -> Path:
	path = bench.sites_path / SITE / "locks" / f"{name}.lock"
	path.parent.mkdir(exist_ok=True)
	return path


HOLDER = """
import fcntl, os, sys
handle = os.open(sys.argv[1], os.O_RDWR | os.O_TRUNC | os.O_CREAT, 0o644)  # as the package filelock does
fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(code: str, *arguments: object) -> Iterator[subprocess.Popen]:
	"""A process that runs `code`, from its first line of output on; its end is the end of its input."""
	words = [sys.executable, "-c", code, *map(str, arguments)]
	with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
		try:
			assert process.stdout.readline()
			yield process
		finally:
			process.kill()


def snapshot(bench: Bench) -> dict[Path, tuple[int, int]]:
	"""Every file and folder of the sites: which it is, and when it was last changed."""
	paths = [bench.sites_path, *bench.sites_path.rglob("*")]
	return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}
