"""The steps of each strategy, and their order."""

import pytest

from safe_restart.engine.managers.base import RestartMode
from safe_restart.engine.processes.classify import REDIS
from safe_restart.engine.restart import strategies
from safe_restart.engine.restart.options import RESTARTED_BY_DEFAULT, Options
from safe_restart.engine.restart.recovery import RecoveryAction, recovery_action
from safe_restart.engine.restart.strategies import (
	FINISH_FIRST,
	MIGRATING_STEPS,
	STRATEGIES,
	adapt_to_manager,
	steps_of,
)

EVERY_WAY = [*((s, s.steps) for s in STRATEGIES.values()), (STRATEGIES["wait-workers"], MIGRATING_STEPS)]


@pytest.mark.parametrize(("strategy", "steps"), EVERY_WAY, ids=[*STRATEGIES, "migrating"])
def test_every_strategy_keeps_the_order_that_saves_jobs(strategy, steps):
	options = Options(only=(*RESTARTED_BY_DEFAULT, REDIS), migrate=steps is MIGRATING_STEPS)
	assert steps == steps_of(strategy, options)
	assert len(set(steps)) == len(steps)
	asks = "drain" if strategy.busy == FINISH_FIRST else "request-stop"
	assert steps[:4] == ("preflight", "before-hooks", "suspend", asks)
	assert steps[-1] == "verify"
	assert {"rescue", "resume", "replace"} <= set(steps)
	# What was interrupted is found before the report, and where new jobs had to wait, before those.
	for interrupting in {"stop", "interrupt", "stop-for-migration", "follow"} & set(steps):
		assert steps.index(interrupting) < steps.index("rescue")
	if strategy.holds_lease and strategy.interrupts:
		assert steps.index("rescue") < steps.index("resume")
	if not strategy.holds_lease:
		assert steps[4] == "resume"
	if strategy.interrupts:
		assert steps.index("request-stop") < steps.index("interrupt") < steps.index("replace-interrupted")


@pytest.mark.parametrize(("strategy", "steps"), EVERY_WAY, ids=[*STRATEGIES, "migrating"])
def test_redis_is_restarted_only_where_it_was_named(strategy, steps):
	options = Options(migrate=steps is MIGRATING_STEPS)
	assert steps_of(strategy, options) == tuple(name for name in steps if name != "restart-redis")


def test_sites_are_migrated_only_in_maintenance_and_while_nothing_runs_jobs():
	order = [
		MIGRATING_STEPS.index(name)
		for name in ("drain", "maintenance", "stop-for-migration", "migrate", "start", "restore")
	]
	assert order == sorted(order)
	assert MIGRATING_STEPS.index("migrate") < MIGRATING_STEPS.index("resume")
	assert all("migrate" not in strategy.steps for strategy in STRATEGIES.values())


def test_a_hold_is_not_a_restart():
	assert strategies.strategy_named("drain").steps == ("preflight", "suspend", "drain")


@pytest.mark.parametrize("name", STRATEGIES)
def test_in_the_foreground_every_strategy_drains_before_anything_ends(
	name,
):
	for restart_mode in (RestartMode.SEQUENTIAL, RestartMode.MANUAL):
		chosen = adapt_to_manager(STRATEGIES[name], restart_mode)
		assert (chosen.name, chosen.busy, chosen.restart_mode) == (name, FINISH_FIRST, restart_mode)
		assert chosen.holds_lease and not chosen.in_batches
		ends = "stop" if restart_mode == RestartMode.SEQUENTIAL else "hand-over"
		assert chosen.steps.index("drain") < chosen.steps.index(ends)
		for reached in range(len(chosen.steps) + 1):
			ending = chosen.steps.index("begin-services") if restart_mode == RestartMode.SEQUENTIAL else 99
			has_stopped = reached > ending
			found = recovery_action(name, chosen.steps[:reached], restart_mode=restart_mode)
			assert found is (RecoveryAction.ROLL_FORWARD if has_stopped else RecoveryAction.ROLL_BACK)
	assert adapt_to_manager(STRATEGIES[name], RestartMode.INDIVIDUAL) is STRATEGIES[name]
