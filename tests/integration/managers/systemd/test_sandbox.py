"""The sandbox of the other tests: the systemd in it can reach no process but its own."""

import os
from pathlib import Path

from tests.support.systemd import end, start


def cgroups() -> list[str]:
	return [Path(f"/proc/{pid}/cgroup").read_text() for pid in (1, os.getpid(), os.getppid())]


def test_a_program_in_the_sandbox_is_alone_at_the_root_of_its_cgroup_tree(systemd_is_here, tmp_path):
	before = cgroups()
	probe = tmp_path / "probe"
	probe.write_text(
		f"#!/bin/sh\nread procs < /sys/fs/cgroup/cgroup.procs\necho $procs $$ > {tmp_path}/said\n"
		f"ls /sys/fs/cgroup > {tmp_path}/listed\nsleep 60\n"
	)
	probe.chmod(0o755)
	process, cgroup = start(dict(os.environ), str(probe))
	try:
		while not (tmp_path / "listed").exists() or not (tmp_path / "listed").read_text():
			assert process.poll() is None
		first, own = (tmp_path / "said").read_text().split()
		assert first == own == str(process.pid)
		assert "cgroup.procs" in (tmp_path / "listed").read_text()
		assert "safe-restart-test" not in (tmp_path / "listed").read_text()
		assert cgroups() == before
	finally:
		end(process, cgroup)
	assert not cgroup.exists()


def test_starting_systemd_moves_no_process_of_the_machine(systemd_is_here, make_systemd):
	before = cgroups()
	bench = make_systemd(web=False)
	assert cgroups() == before
	assert bench.cgroup.name in Path(f"/proc/{bench.supervisord.pid}/cgroup").read_text()
