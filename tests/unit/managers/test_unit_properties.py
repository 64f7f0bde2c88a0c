"""What systemctl and unit files say is read right; needs no systemd."""

import pytest

from safe_restart.engine.core.bench import Bench
from safe_restart.engine.managers.systemd import unit_properties

BENCH_WORKER = (
	"{ path=/usr/local/bin/bench ; argv[]=/usr/local/bin/bench worker --queue long ; ignore_errors=no ; "
	"start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }"
)


@pytest.mark.parametrize(
	("active", "sub", "age", "state"),
	[
		("active", "running", 5, "running"),
		("active", "running", 0.5, "starting"),
		("reloading", "reload", 5, "running"),
		("activating", "start-pre", 5, "starting"),
		("activating", "auto-restart", 5, "backoff"),
		("activating", "auto-restart-queued", 5, "backoff"),
		("deactivating", "stop-sigterm", 5, "stopping"),
		("inactive", "dead", 5, "stopped"),
		("failed", "failed", 5, "failed"),
		("something new", "odd", 5, "failed"),
	],
)
def test_each_state_has_its_word(active, sub, age, state):
	unit = {"ActiveState": active, "SubState": sub, "Type": "simple"}
	assert unit_properties.state(unit, age) == state


@pytest.mark.parametrize(
	("span", "seconds"),
	[
		("1min 30s", 90),
		("26min", 1560),
		("10s", 10),
		("1h 1s", 3601),
		("500ms", 0),
		("infinity", unit_properties.FOR_EVER_SECONDS),
		("", 0),
	],
)
def test_time_spans_are_read_as_seconds(span, seconds):
	assert unit_properties.seconds(span) == seconds


def test_blocks_of_several_units_are_told_apart():
	text = f"Id=a@1.service\nExecStart={BENCH_WORKER}\nEnvironment=A=1\n\nId=b.service\nExecStart=\n"
	first, second = unit_properties.parse(text)
	assert (first["Id"], first["Environment"], unit_properties.command(second)) == ("a@1.service", "A=1", "")
	assert unit_properties.command(first) == "/usr/local/bin/bench worker --queue long"
	assert unit_properties.parse("") == []


def test_a_page_that_a_socket_wakes_is_no_web_but_a_web_with_a_socket_is():
	unit = {"ExecStart": BENCH_WORKER.replace("worker --queue long", "serve"), "TriggeredBy": "admin.socket"}
	assert unit_properties.kind({**unit, "Restart": "no"}) == "other"
	assert unit_properties.kind({**unit, "Restart": "always"}) == "web"


def test_units_that_are_down_and_forgotten_are_known_from_the_benchs_configuration(tmp_path):
	folder = tmp_path / "config/systemd"
	folder.mkdir(parents=True)
	(folder / "b-workers.target").write_text("[Unit]\nWants=b-worker@1.service b-worker@2.service\n")
	(folder / "b.target").write_text("[Unit]\nRequires=b-web.target b-workers.target\n")
	(folder / "b-worker@.service").write_text("")
	(folder / "b-web.service").write_text("")
	assert unit_properties.configured(Bench(tmp_path, {})) == {
		"b-worker@1.service",
		"b-worker@2.service",
		"b-web.service",
	}


def test_log_files_are_those_that_the_last_file_names(tmp_path):
	unit, drop_in = tmp_path / "a.service", tmp_path / "a.conf"
	unit.write_text("StandardOutput=file:/logs/a.log\nStandardError=append:/logs/a.error.log\n")
	drop_in.write_text("StandardError=journal\n")
	assert unit_properties.log_files([str(unit)]) == ("/logs/a.log", "/logs/a.error.log")
	assert unit_properties.log_files([str(unit), str(drop_in), "/nowhere"]) == ("/logs/a.log",)
