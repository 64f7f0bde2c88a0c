"""Where this process runs."""

import pytest

from safe_restart.engine.core import environment


@pytest.mark.parametrize(
	("text", "path"),
	[
		("0::/system.slice/web.service\n", "/system.slice/web.service"),
		("1:name=systemd:/system.slice/web.service\n0::/\n", "/system.slice/web.service"),
		("4:memory:/elsewhere.service\n1:name=systemd:/user.slice\n", "/user.slice"),
		("", ""),
	],
)
def test_the_own_cgroup_is_that_of_systemds_hierarchy(text, path):
	assert environment.cgroup_in(text) == path
