"""The lock that keeps restarts of one bench apart."""

import os

import pytest

from safe_restart.engine.core import bench as benches
from safe_restart.engine.state.journal import Journal
from safe_restart.engine.state.locks import BenchLock

NOBODY = 65534


def test_a_lock_that_root_took_first_can_be_taken_by_the_benchs_owner(tmp_path):
	if os.geteuid() != 0:
		pytest.skip("only root can come before the owner: run the tests as root")
	(tmp_path / "sites").mkdir()
	(tmp_path / "sites/common_site_config.json").write_text("{}")
	os.chown(tmp_path / "sites", NOBODY, NOBODY)
	bench = benches.load(tmp_path)
	Journal(bench)
	lock = BenchLock(bench)
	assert lock.take()
	assert lock.path.stat().st_uid == NOBODY
	lock.release()
