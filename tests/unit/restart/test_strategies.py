"""The pure decisions of the engine, over all of their inputs or over any that hypothesis thinks of."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_restart.engine.core.bench import Bench
from safe_restart.engine.core.errors import Refused
from safe_restart.engine.jobs import retry_policy
from safe_restart.engine.jobs.actions import DELAY, FAIL, HOLD, INTERRUPTED_CHOICES, REQUEUE
from safe_restart.engine.jobs.retry_policy import JITTER, Policy
from safe_restart.engine.managers.base import RestartMode
from safe_restart.engine.processes.classify import KINDS, REDIS
from safe_restart.engine.restart import strategies
from safe_restart.engine.restart.options import RESTARTED_BY_DEFAULT, Options
from safe_restart.engine.restart.recovery import RecoveryAction, recovery_action
from safe_restart.engine.restart.strategies import (
	FINISH_FIRST,
	MIGRATING_STEPS,
	STRATEGIES,
	WATCHING_STEPS,
	adapt_to_manager,
	steps_of,
)
from safe_restart.engine.workers.stop_safety import StopAction, WorkerPhase, decide_stop

ALL_STEPS = sorted(
	{*MIGRATING_STEPS, *WATCHING_STEPS, *(name for s in STRATEGIES.values() for name in s.steps)}
)
FINISHING_FIRST = [strategy.name for strategy in STRATEGIES.values() if strategy.busy == FINISH_FIRST]
AT_ONCE = [name for name in STRATEGIES if name not in FINISHING_FIRST]

JSON = st.recursive(
	st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=5),
	lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
	max_leaves=6,
)
SECONDS = st.integers(0, 10**9) | st.floats(0, 1e9)


def ways_to_stop():
	for size in range(5):
		for phases in itertools.combinations_with_replacement(WorkerPhase, size):
			for has_been_waited in (False, True):
				yield set(phases), has_been_waited, decide_stop(phases, has_been_waited)


def test_a_unit_is_told_to_go_only_where_each_of_its_workers_is_proven():
	for phases, _, act in ways_to_stop():
		if act in (StopAction.SIGNAL, StopAction.UNBLOCK):
			assert phases and not phases & {WorkerPhase.IN_BETWEEN, WorkerPhase.ASKED}
		if act is StopAction.SIGNAL:
			assert phases <= {WorkerPhase.SUSPENDED, WorkerPhase.BUSY}


def test_a_unit_that_was_told_is_never_told_again():
	for phases, _, act in ways_to_stop():
		assert (act is StopAction.ALREADY_ASKED) is (WorkerPhase.ASKED in phases)


def test_a_unit_without_proof_is_looked_at_again_and_only_after_waiting_stopped_in_the_next_best_way():
	for phases, has_been_waited, act in ways_to_stop():
		is_unproven = not phases or WorkerPhase.IN_BETWEEN in phases
		is_open = is_unproven and WorkerPhase.ASKED not in phases
		assert (act is StopAction.UNPROVEN_STOP) is (is_open and has_been_waited)
		assert (act is StopAction.LOOK_AGAIN) is (is_open and not has_been_waited)


def test_what_is_done_with_a_proven_unit_does_not_depend_on_time_or_order():
	for size in range(1, 4):
		for phases in itertools.product(set(WorkerPhase) - {WorkerPhase.IN_BETWEEN}, repeat=size):
			assert (
				len({decide_stop(order, waited) for order in (phases, phases[::-1]) for waited in (0, 1)})
				== 1
			)


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


policies = st.builds(
	Policy,
	st.integers(1, 10),
	st.lists(SECONDS, max_size=5).map(tuple),
	st.dictionaries(st.sampled_from("abc"), st.sampled_from(INTERRUPTED_CHOICES)).map(
		lambda d: tuple(d.items())
	),
)


@given(
	policies,
	st.sampled_from("abcd"),
	st.integers(1, 20),
	st.sampled_from(INTERRUPTED_CHOICES),
	st.floats(0, 1),
)
def test_an_interrupted_job_is_run_again_a_bounded_number_of_times_with_bounded_pauses(
	rules, method, interruptions, asked, chance
):
	action, delay = rules.decide(method, interruptions, asked, lambda: chance)
	wanted = dict(rules.methods).get(method, asked)
	if wanted in (HOLD, FAIL):
		assert (action, delay) == (wanted, 0)
	elif interruptions >= rules.max_attempts:
		assert (action, delay) == (HOLD, 0)
	else:
		assert action == (DELAY if delay else REQUEUE)
		base = rules.delays_seconds[:interruptions][-1] if rules.delays_seconds else 0
		assert base <= delay <= base * (1 + JITTER)


settings = st.fixed_dictionaries(
	{},
	optional={
		"max_attempts": st.integers(-1, 5) | JSON,
		"retry_delays_seconds": st.lists(st.integers(-1, 100) | st.floats(), max_size=3) | JSON,
		"job_policy": st.dictionaries(st.text(max_size=3), st.sampled_from([*INTERRUPTED_CHOICES, "dance"]))
		| JSON,
	},
)


@given(settings, st.integers(1, 9))
def test_settings_are_refused_or_give_a_pause_that_ends(tmp_path_factory, settings, interruptions):
	try:
		rules = retry_policy.of_bench(
			Bench(tmp_path_factory.getbasetemp() / "none", {"safe_restart": settings})
		)
	except Refused as refused:
		assert "Nothing was touched" in str(refused)
	else:
		action, delay = rules.decide("m", interruptions, REQUEUE)
		assert action in (REQUEUE, DELAY, HOLD, FAIL)
		assert round(delay) >= 0


def test_a_hooks_file_that_would_not_even_import_says_nothing(tmp_path):
	for text in (
		"safe_restart_job_policy = {[]: 1}",
		"safe_restart_job_policy = {**1}",
		"\0",
		"safe_restart_job_policy = 1",
	):
		folder = tmp_path / "apps/app/app"
		folder.mkdir(parents=True, exist_ok=True)
		(folder / "hooks.py").write_text(text)
		assert retry_policy.from_apps(Bench(tmp_path, {})) == {}


options = st.builds(
	Options,
	only=st.lists(st.sampled_from(KINDS), min_size=1, unique=True).map(tuple),
	wait_workers_timeout=SECONDS,
	wait_workers_verbose=st.booleans(),
	force_kill_timeout=st.none() | SECONDS,
	interrupted=st.sampled_from(INTERRUPTED_CHOICES),
	hold_seconds=SECONDS,
	migrate=st.booleans(),
	migrate_timeout=SECONDS,
	sites=st.lists(st.text(max_size=5)).map(tuple),
	override_blockers=st.booleans(),
)


@given(options)
def test_what_was_chosen_is_read_back_from_the_journal_as_it_was_written(options):
	assert Options.from_dict(options.as_dict()) == options
	assert Options.from_dict(json.loads(json.dumps(options.as_dict()))) == options


@given(st.dictionaries(st.sampled_from(list(Options().as_dict())) | st.text(max_size=3), JSON, max_size=3))
def test_whatever_stands_in_the_journal_is_refused_in_a_sentence_or_has_a_meaning(values):
	try:
		read = Options.from_dict(values)
	except Refused as refused:
		assert "Nothing was touched" in str(refused)
		return
	assert {*read.only} <= {*KINDS} and all(isinstance(site, str) for site in read.sites)
	assert isinstance(read.migrate, bool) and isinstance(read.wait_workers_verbose, bool)
	for seconds in (read.wait_workers_timeout, read.hold_seconds, read.migrate_timeout):
		assert 0 <= float(seconds) < float("inf")


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


def test_sites_are_migrated_only_in_maintenance_and_while_everything_that_runs_jobs_is_down():
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
def test_in_the_foreground_every_strategy_lets_running_jobs_finish_first_and_drains_before_anything_ends(
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
