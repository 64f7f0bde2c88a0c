"""Whose suspension it is, by its token."""

import pytest

from safe_restart.engine.rq.suspension import describe_holder


@pytest.mark.parametrize(
	("token", "says", "fix"),
	[
		("safe-restart:shop:20260101-000000-abcd", "by this bench's own", "`safe-restart resume`"),
		(
			"safe-restart:shop-2:20260101-000000-abcd",
			"by a restart of shop-2, on the same Redis",
			"by itself",
		),
		("safe-restart:sh:op:20260101-000000-abcd", "by a restart of sh:op, ", "by itself"),
		("1", "by '1'", "redis-cli DEL"),
	],
)
def test_who_holds_the_queues_is_told_by_the_whole_name_of_its_bench(token, says, fix):
	who, what = describe_holder(token, "shop")
	assert who.startswith(says) and fix in what
