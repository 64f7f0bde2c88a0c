"""Times as the journal keeps them."""

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_restart.engine.core import timestamps

times = st.datetimes(timezones=st.just(timezone.utc))


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
