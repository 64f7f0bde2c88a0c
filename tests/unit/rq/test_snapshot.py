"""What RQ writes is read for what it says."""

from datetime import datetime, timezone

from hypothesis import example, given
from hypothesis import strategies as st

from safe_restart.engine.rq import snapshot
from safe_restart.engine.rq.snapshot import Queue


def test_times_of_rq_are_read_with_and_without_a_fraction():
	moment = datetime(2026, 11, 21, 22, 53, 16, tzinfo=timezone.utc)
	assert snapshot.parse_time("2026-11-21T22:53:16.000000Z") == moment
	assert snapshot.parse_time("2026-11-21T22:53:16Z") == moment
	assert snapshot.parse_time("") is None
	assert snapshot.parse_time(None) is None


def test_a_queue_knows_what_is_in_it():
	queue = snapshot.read_queue(
		{
			"name": "b:q",
			"depth": 1,
			"intermediate": 0,
			"scheduled": 0,
			"deferred": 0,
			"failed": 0,
			"started": {},
		}
	)
	assert queue == Queue("b:q", 1, 0, 0, 0, 0, ())


times = st.datetimes(timezones=st.just(timezone.utc))


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
