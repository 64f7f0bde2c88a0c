"""A bench whose units run under the systemd of its owner, asked by root, as `sudo safe-restart` does."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from safe_restart.engine.core import bench as benches
from safe_restart.engine.managers.systemd import manager as systemd
from safe_restart.engine.processes.classify import WORKERS
from tests.support.systemd import SYSTEMD, end, start
from tests.support.waiting import wait_for

NOBODY = 65534
UNIT = "[Service]\nExecStart=/bin/sh -c 'sleep 1000' bench worker --queue default\nRestart=always\nWorkingDirectory={path}\n"
AS_OWNER = f"""\
#!/bin/sh
chown {NOBODY} /sys/fs/cgroup /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/cgroup.subtree_control
exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups {SYSTEMD} "$@"
"""


@pytest.fixture
def owned(systemd_is_here, monkeypatch) -> Iterator[Path]:
	"""A folder with a bench and a running systemd, both of another user; not in pytest's, which is root's alone."""
	if os.geteuid() != 0:
		pytest.skip("only root can be somebody else: run the tests as root")
	folder = Path(tempfile.mkdtemp(prefix="safe-restart-owned-"))
	folder.chmod(0o755)
	for name in ("bench/sites", "run/config/systemd/user"):
		(folder / name).mkdir(parents=True)
	(folder / "bench/sites/common_site_config.json").write_text("{}")
	unit = folder / "run/config/systemd/user/bench-frappe-worker.service"
	unit.write_text(UNIT.format(path=folder / "bench"))
	(folder / "as_owner").write_text(AS_OWNER)
	(folder / "as_owner").chmod(0o755)
	subprocess.run(["chown", "-R", str(NOBODY), folder / "bench", folder / "run"], check=True)
	(folder / "run").chmod(0o700)
	# Instead of /run/user/65534, which is the machine's
	monkeypatch.setattr(systemd, "runtime_dir", lambda bench: folder / "run")
	address = {"XDG_RUNTIME_DIR": str(folder / "run"), "XDG_CONFIG_HOME": str(folder / "run/config")}
	environment = {name: value for name, value in os.environ.items() if name != "DBUS_SESSION_BUS_ADDRESS"}
	process, cgroup = start({**environment, **address}, str(folder / "as_owner"))
	try:
		wait_for((folder / "run/systemd/private").exists, "systemd is up")
		yield folder
	finally:
		end(process, cgroup)
		shutil.rmtree(folder)


def test_root_reaches_the_systemd_of_the_benchs_owner(owned):
	bench = benches.load(owned / "bench")
	manager = systemd.Systemd(bench, systemd.USER)
	refused = subprocess.run(
		["systemctl", "--user", "list-units"], env=manager.environment, capture_output=True
	)
	assert refused.returncode  # the control: a user's systemd does not listen to root
	assert manager.ask("start", "bench-frappe-worker.service").returncode == 0

	assert [found.scope for found in systemd.find_systemd(bench, [])] == [systemd.USER]
	(worker,) = manager.services()
	assert (worker.kind, worker.is_up) == (WORKERS, True)
	manager.signal(worker, "TERM")
	wait_for(lambda: manager.services()[0].pid not in (0, worker.pid), "the unit comes back")
