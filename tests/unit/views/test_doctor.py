"""What doctor concludes from a configuration alone."""

import pytest

from safe_restart.engine.views.doctor import longest_job_seconds
from tests.unit.builders import BENCH


@pytest.mark.parametrize(
	("command", "seconds"),
	[
		("bench worker", 3000),
		("bench worker --queue short,long", 1500),
		("bench worker --queue=reports", 3000),
		("sh -c 'bench worker --queue \"short,default\"'", 300),
		("sh -c 'bench worker --queue long'", 1500),
		("bench worker --queue  nobody-configured", 300),
	],
)
def test_what_a_job_may_take_is_read_from_the_queues_that_a_command_names(command, seconds):
	assert longest_job_seconds(BENCH, command) == seconds
