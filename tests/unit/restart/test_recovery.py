"""Whether a request whose helper died is rolled back or forward."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_restart.engine.restart.options import Options
from safe_restart.engine.restart.recovery import RecoveryAction, recovery_action
from safe_restart.engine.restart.strategies import (
	FINISH_FIRST,
	MIGRATING_STEPS,
	STRATEGIES,
	WATCHING_STEPS,
	steps_of,
)

ALL_STEPS = sorted(
	{*MIGRATING_STEPS, *WATCHING_STEPS, *(name for s in STRATEGIES.values() for name in s.steps)}
)


FINISHING_FIRST = [strategy.name for strategy in STRATEGIES.values() if strategy.busy == FINISH_FIRST]


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_request_is_rolled_back_before_anything_irrevocable_and_forward_after(name):
	steps = STRATEGIES[name].steps
	irrevocable = steps.index("begin-services" if name in FINISHING_FIRST else "request-stop")
	for reached in range(len(steps) + 1):
		action = recovery_action(name, steps[:reached])
		assert action is (RecoveryAction.ROLL_FORWARD if reached > irrevocable else RecoveryAction.ROLL_BACK)


def test_a_migration_is_not_called_untouched_once_its_workers_were_stopped():
	halted = MIGRATING_STEPS.index("stop-for-migration")
	for reached in range(len(MIGRATING_STEPS) + 1):
		action = recovery_action("wait-workers", MIGRATING_STEPS[:reached])
		assert action is (RecoveryAction.ROLL_FORWARD if reached > halted else RecoveryAction.ROLL_BACK)


@given(
	st.sampled_from([*STRATEGIES, "drain"]), *[st.sets(st.sampled_from(ALL_STEPS) | st.text(max_size=4))] * 2
)
def test_what_is_rolled_forward_is_never_rolled_back_for_what_it_did_besides(name, steps, more):
	assert recovery_action(name, steps) in RecoveryAction
	if recovery_action(name, steps) is RecoveryAction.ROLL_FORWARD:
		assert recovery_action(name, steps | more) is RecoveryAction.ROLL_FORWARD
	assert recovery_action("drain", steps) is RecoveryAction.ROLL_BACK


@pytest.mark.parametrize("strategy", ["wait-workers", "rolling", "no-wait-workers"])
def test_before_its_migration_a_request_is_rolled_back_and_after_it_forward(strategy):
	steps = steps_of(STRATEGIES[strategy], Options(migrate=True))
	for reached in range(len(steps) + 1):
		is_begun = "stop-for-migration" in steps[:reached]
		assert recovery_action(strategy, steps[:reached]) is (
			RecoveryAction.ROLL_FORWARD if is_begun else RecoveryAction.ROLL_BACK
		)
