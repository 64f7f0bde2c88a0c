"""What is refused before anything begins."""

import pytest

from safe_restart.engine.core.errors import Refused
from safe_restart.engine.restart import strategies
from safe_restart.engine.restart.options import Options
from safe_restart.engine.restart.strategies import STRATEGIES


def test_redis_is_restarted_only_where_no_job_can_run():
	for strategy in STRATEGIES.values():
		allowed = strategy.name in (strategies.WAIT_WORKERS, strategies.SUSPEND_RQ)
		try:
			strategies.check_redis(strategy, Options(only=("redis",)))
			assert allowed
		except Refused as refused:
			assert not allowed
			assert "Nothing was touched" in str(refused)


def test_the_helper_checks_what_it_reads():
	with pytest.raises(Refused):
		Options.from_dict({"command": "rm -rf /"})
	with pytest.raises(Refused):
		strategies.strategy_named("../../etc/passwd")
