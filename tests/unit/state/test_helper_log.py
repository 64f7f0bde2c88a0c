"""helper.log tells the time and the request of each line, and does not grow for ever."""

import logging
import re
import stat

from safe_restart.engine.state import helper_log


def test_the_log_is_rotated_when_a_helper_starts_and_readable_by_its_owner_alone(tmp_path):
	(tmp_path / "helper.log").write_bytes(b"x" * (helper_log.LOG_BYTES + 1))
	with helper_log.open_log(tmp_path) as file:
		file.write(b"new")
	assert (tmp_path / "helper.log").read_bytes() == b"new"
	assert (tmp_path / "helper.log.1").stat().st_size == helper_log.LOG_BYTES + 1
	assert stat.S_IMODE((tmp_path / "helper.log").stat().st_mode) == 0o600
	with helper_log.open_log(tmp_path) as file:
		file.write(b" and more")
	assert (tmp_path / "helper.log").read_bytes() == b"new and more"


def test_each_line_has_its_time_its_level_and_its_request(capsys, monkeypatch):
	monkeypatch.setattr(logging, "raiseExceptions", True)
	monkeypatch.setattr(helper_log.log, "handlers", [])
	helper_log.begin_logging("20260101-000000-abcd")
	helper_log.log.info("%s", "no worker can take a job")
	assert re.fullmatch(
		r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO 20260101-000000-abcd no worker can take a job\n",
		capsys.readouterr().err,
	)
