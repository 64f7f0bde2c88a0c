"""What comes from outside is read for what it says, and never raises."""

import itertools
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safe_restart.engine.core import timestamps
from safe_restart.engine.core.bench import Bench
from safe_restart.engine.processes import subprocess_runner
from safe_restart.engine.processes.subprocess_runner import TAIL_LINES, OutputLines
from safe_restart.engine.rq import client_list, job_description, snapshot

LINE_BYTES = 8  # so that lines that are cut are found often
BENCH = Bench(Path("/home/frappe/bench"), {})

names = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True)
dotted = st.from_regex(r"[a-z_]{1,8}(\.[a-z_]{1,8}){0,3}", fullmatch=True)
times = st.datetimes(timezones=st.just(timezone.utc))


@given(st.text() | st.from_regex(r"\w*\(.*(method|site)=['<].*"))
def test_any_description_of_a_job_can_be_read(text):
	assert isinstance(job_description.method_of(text), str)
	assert isinstance(job_description.site_of(text), str)


@given(dotted, names, st.sampled_from(["", "event=None, "]))
def test_method_and_site_are_read_from_a_description_as_frappe_writes_it(method, site, before):
	text = f"frappe.utils.background_jobs.execute_job({before}method={method!r}, site={site!r}, kwargs={{}})"
	assert (job_description.method_of(text), job_description.site_of(text)) == (method, site)


@given(names, st.sampled_from(["::", "||"]), st.text(st.characters(codec="ascii"), min_size=1))
@example("site1", "::", "site10||1")
@example("site10", "||", "site1::1")
def test_a_job_belongs_to_the_site_whose_whole_name_is_its_prefix(site, separator, rest):
	assert BENCH.site_of_job(f"{site}{separator}{rest}") == site


@given(st.text())
@example("127.0.0.1:²")
def test_any_job_id_and_any_address_can_be_read(text):
	assert isinstance(BENCH.site_of_job(text), str)
	host, port = client_list.port_key(text)
	assert isinstance(host, str) and port >= 0


@given(
	st.integers(0, 65535), st.sampled_from(["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "::ffff:127.0.0.1"])
)
def test_an_address_is_the_same_however_redis_writes_it(port, host):
	plain = "::1" if host == "[::1]" else "127.0.0.1"
	assert client_list.port_key(f"{host}:{port}") == (plain, port)


@given(st.none() | st.text() | st.datetimes().map(str) | st.datetimes().map(lambda moment: f"{moment}-23:59"))
@example("0001-01-01T00:00:00+14:00")
@example("9999-12-31T23:59:59-12:00")
def test_any_time_is_read_as_utc_or_is_none(text):
	read = snapshot.parse_time(text)
	assert read is None or read.tzinfo is timezone.utc


@given(times)
def test_a_time_is_read_as_rq_wrote_it(moment):
	assert snapshot.parse_time(f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}".zfill(27)) == moment
	assert snapshot.parse_time(moment.replace(tzinfo=None).isoformat()) == moment


@given(st.lists(times, min_size=2, max_size=2))
def test_the_seconds_of_a_step_are_those_between_its_timestamps(moments):
	start, end = (moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") for moment in moments)
	between = max(0, (moments[1] - moments[0]).total_seconds())  # a clock may be set back
	assert timestamps.seconds_between(start, end) == pytest.approx(between, abs=0.01)
	assert timestamps.seconds_between(None, end) == 0


def test_a_step_that_has_not_ended_takes_until_now():
	before = datetime.now(timezone.utc)
	assert abs((timestamps.parse(timestamps.utc_now()) - before).total_seconds()) < 1
	assert 0 <= timestamps.seconds_between(timestamps.utc_now(), None) < 1


def fed(chunks: list[bytes]) -> list[str]:
	said = []
	with pytest.MonkeyPatch.context() as patch:
		patch.setattr(subprocess_runner, "LINE_BYTES", LINE_BYTES)
		lines = OutputLines(said.append)
		for chunk in chunks:
			lines.feed(chunk)
		lines.finish()
	assert list(lines.tail) == said[-TAIL_LINES:]
	return said


pieces = st.sampled_from(
	[b"\r", b"\n", b"\r\n", b" ", b"one", "é…".encode(), b"\xff", b"x" * LINE_BYTES, b"yz"]
)


@given(st.lists(pieces, max_size=12).map(b"".join), st.lists(st.integers(0, 3 * LINE_BYTES), max_size=6))
@example(b"x" * LINE_BYTES + b"y\ryz\n", [LINE_BYTES + 2])
def test_a_migrations_output_is_the_same_lines_however_it_comes_in(written, cuts):
	edges = [0, *sorted(cut % (len(written) + 1) for cut in cuts), len(written)]
	chunks = [written[start:end] for start, end in itertools.pairwise(edges)]
	assert fed(chunks) == fed([written]) == fed([bytes([byte]) for byte in written])
	assert all(line.strip() and "\n" not in line and "\r" not in line for line in fed([written]))
