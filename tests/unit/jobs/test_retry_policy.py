"""What becomes of an interrupted job."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_restart.engine.core.bench import Bench
from safe_restart.engine.core.errors import Refused
from safe_restart.engine.jobs import retry_policy
from safe_restart.engine.jobs.actions import DELAY, FAIL, HOLD, INTERRUPTED_CHOICES, REQUEUE
from safe_restart.engine.jobs.retry_policy import JITTER, Policy
from safe_restart.engine.rq import job_description
from tests.unit.generated import JSON, SECONDS
from tests.unit.rq.test_job_description import scheduled


@pytest.mark.parametrize("event", ["bank.transfer", "bank." + "x" * 80])
def test_a_policy_for_a_scheduled_event_counts_however_long_its_name_is(event):
	rules = Policy(methods=((event, "hold"), ("bank.mail", "requeue")))
	assert rules.decide(job_description.method_of(scheduled(event)), 1, "requeue")[0] == "hold"
	assert rules.decide(job_description.method_of(scheduled("bank.mail")), 1, "hold")[0] == "requeue"
	assert rules.decide(job_description.method_of(scheduled("shop.remind")), 1, "fail")[0] == "fail"


@pytest.mark.parametrize(
	("interruptions", "asked", "decided"),
	[
		(1, "requeue", ("requeue", 0)),
		(2, "requeue", ("delay", 60)),
		(3, "requeue", ("hold", 0)),
		(9, "requeue", ("hold", 0)),
		(1, "hold", ("hold", 0)),
		(1, "fail", ("fail", 0)),
	],
)
def test_an_interrupted_job_runs_again_at_once_then_after_a_pause_then_is_held(interruptions, asked, decided):
	assert Policy().decide("m", interruptions, asked, lambda: 0) == decided


def test_pauses_grow_to_their_cap_and_are_spread_a_little():
	rules = Policy(max_attempts=9)
	assert [rules.decide("m", n, "requeue", lambda: 0)[1] for n in range(1, 7)] == [0, 60, 120, 240, 240, 240]
	assert rules.decide("m", 2, "requeue", lambda: 1)[1] == 66
	assert Policy(delays_seconds=()).decide("m", 2, "requeue") == ("requeue", 0)


def test_a_method_that_must_not_be_repeated_is_held_whatever_was_asked():
	rules = Policy(methods=(("bank.pay", "hold"),))
	assert rules.decide("bank.pay", 1, "requeue") == ("hold", 0)
	assert rules.decide("bank.pay.later", 1, "requeue")[0] == "requeue"


def test_apps_say_by_hook_what_must_not_be_repeated_and_are_not_imported(tmp_path):
	for app, text in {
		"bank": 'safe_restart_job_policy = {"bank.pay": "hold", "bank.mail": "fail", "bank.odd": "dance"}',
		"broken": "def (",
		"busy": "import nothing_there\nsafe_restart_job_policy = dict(a=1)",
	}.items():
		(tmp_path / "apps" / app / app).mkdir(parents=True)
		(tmp_path / "apps" / app / app / "hooks.py").write_text(text)
	bench = Bench(tmp_path, {"safe_restart": {"job_policy": {"bank.mail": "requeue"}}})
	assert dict(retry_policy.of_bench(bench).methods) == {"bank.pay": "hold", "bank.mail": "requeue"}


@pytest.mark.parametrize(
	"settings", [{"max_attempts": 0}, {"retry_delays_seconds": [-1]}, {"job_policy": {"m": "dance"}}]
)
def test_settings_that_mean_nothing_are_refused(settings, tmp_path):
	with pytest.raises(Refused, match=next(iter(settings))):
		retry_policy.of_bench(Bench(tmp_path, {"safe_restart": settings}))


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
def test_an_interrupted_job_runs_again_a_bounded_number_of_times_and_pauses(
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
