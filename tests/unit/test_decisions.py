"""What is decided without processes: pure tables."""

from datetime import datetime, timezone
from pathlib import Path

import pytest
from rq.utils import get_call_string

from safe_restart.engine.core.bench import Bench
from safe_restart.engine.core.errors import Refused
from safe_restart.engine.jobs import retry_policy
from safe_restart.engine.jobs.retry_policy import Policy
from safe_restart.engine.managers import base
from safe_restart.engine.managers.base import Service
from safe_restart.engine.processes.classify import belongs_to, kind_of
from safe_restart.engine.restart import strategies
from safe_restart.engine.restart.options import Options
from safe_restart.engine.restart.strategies import STRATEGIES
from safe_restart.engine.rq import job_description, snapshot
from safe_restart.engine.rq.snapshot import Job, Queue, RqSnapshot, Worker
from safe_restart.engine.rq.suspension import describe_holder
from safe_restart.engine.state.journal import Journal
from safe_restart.engine.views.doctor import longest_job_seconds
from safe_restart.engine.views.plan import make_plan
from safe_restart.engine.workers.fleet import Fleet, WorkerProgram
from safe_restart.engine.workers.stop_safety import StopSafety, WorkerPhase

NOW = 1_800_000_000.0
BENCH = Bench(Path("/home/frappe/bench"), {"workers": {"reports": {"timeout": 3000}}})


def worker(name="w", state="idle", heartbeat="1", job=None, shutdown=False, pid=10) -> Worker:
	return Worker(name, pid, "", "", state, ("b:default",), job, None, heartbeat, shutdown)


def fleet(*workers: Worker, suspended_by=None, jobs=()) -> Fleet:
	snapshot = RqSnapshot(NOW, suspended_by, -2, workers, (), {job.id: job for job in jobs}, (), {})
	service = Service("g:w", "workers", "running", 10, 0, 360, "bench worker", ())
	return Fleet(snapshot, (WorkerProgram(service, workers),), (), ())


def test_a_suspended_worker_is_proven_only_once_it_has_read_our_flag():
	stop_safety = StopSafety(NOW)
	stop_safety.add(fleet(worker(state="suspended", heartbeat="1")))
	assert not stop_safety.has_read_suspension(worker(state="suspended", heartbeat="1"))
	stop_safety.add(fleet(worker(state="suspended", heartbeat="2")))
	assert stop_safety.has_read_suspension(worker(state="suspended", heartbeat="2"))
	assert not stop_safety.has_read_suspension(worker(state="idle", heartbeat="3"))


def test_a_worker_that_became_suspended_since_the_flag_was_set_is_proven():
	stop_safety = StopSafety(NOW)
	stop_safety.add(fleet(worker(state="busy")))
	stop_safety.add(fleet(worker(state="suspended")))
	assert stop_safety.has_read_suspension(worker(state="suspended"))


def test_a_busy_worker_is_in_a_long_job_only_after_a_while_in_the_same_job():
	stop_safety = StopSafety(NOW)
	stop_safety.add(fleet(worker(state="busy", job="a")))
	assert stop_safety.phase(worker(state="busy", job="a"), {}) is WorkerPhase.IN_BETWEEN
	name, (job, since) = next(iter(stop_safety.busy_since.items()))
	stop_safety.busy_since[name] = (job, since - 1)
	assert stop_safety.phase(worker(state="busy", job="a"), {}) is WorkerPhase.BUSY
	stop_safety.add(fleet(worker(state="busy", job="b")))
	assert stop_safety.phase(worker(state="busy", job="b"), {}) is WorkerPhase.IN_BETWEEN


@pytest.mark.parametrize(
	("command", "kind"),
	[
		(
			"/b/env/bin/gunicorn -b 127.0.0.1:8000 -w 17 --max-requests 5000 -t 120 frappe.app:application --preload",
			"web",
		),
		("/usr/bin/bench worker --queue short,default", "workers"),
		("/b/env/bin/python -m frappe.utils.bench_helper frappe worker --queue long", "workers"),
		("bench worker-pool --num-workers 4 --queue default", "workers"),
		("/usr/bin/bench schedule", "scheduler"),
		("/usr/bin/node /b/apps/frappe/socketio.js", "socketio"),
		("/usr/bin/redis-server /b/config/redis_queue.conf", "redis"),
		("/usr/bin/valkey-server /b/config/redis_cache.conf", "redis"),
		("/b/env/bin/python mail_fetcher.py", "other"),
		("sh -c 'cd /b && bench worker --queue default'", "workers"),
		('bash -c "cd /b/sites; exec ../env/bin/bench worker-pool"', "workers"),
		("bench --site shop.example worker", "workers"),
		("env QUEUE=x nice -n 5 bench worker", "workers"),
		("/usr/bin/flock /b/lock /usr/local/bin/bench frappe schedule", "scheduler"),
		("bench serve --port 8000", "web"),
		("/b/env/bin/celery -A shop worker", "other"),
		("sh -c 'cd /home/frappe/bench && celery -A shop worker'", "other"),
		("/b/env/bin/python /b/scripts/worker", "other"),
		("node /b/apps/shop/serve", "other"),
		("bench execute shop.mail.fetch", "other"),
	],
)
def test_a_service_is_known_by_its_command(command, kind):
	assert kind_of(command) == kind


@pytest.mark.parametrize(
	("command", "directory", "ours"),
	[
		("/usr/bin/bench worker --queue short", "/home/frappe/bench", True),
		("/usr/bin/bench worker --queue short", "/home/frappe/bench/sites", True),
		("/usr/bin/redis-server /home/frappe/bench/config/redis.conf", "none", True),
		("/usr/bin/bench worker --queue short", "/home/frappe/bench-2", False),
		("/usr/bin/redis-server /home/frappe/bench-2/config/redis.conf", "none", False),
		("/usr/bin/python -m http.server", "/srv", False),
	],
)
def test_only_programs_of_this_bench_are_touched_not_those_of_one_with_a_longer_name(
	command, directory, ours
):
	assert belongs_to(BENCH, command, directory) is ours


def test_a_program_that_runs_in_another_bench_is_that_ones_whatever_it_names(tmp_path):
	benches = [Bench(tmp_path / name, {}) for name in ("bench", "bench/nested", "bench-2")]
	for bench in benches:
		bench.sites_path.mkdir(parents=True)
		(bench.sites_path / "common_site_config.json").write_text("{}")
	for home in benches:
		command = f"{benches[0].path}/env/bin/bench worker --queue short"
		assert [belongs_to(bench, command, str(home.sites_path)) for bench in benches] == [
			bench is home for bench in benches
		]
	assert belongs_to(benches[0], f"{benches[0].path}/env/bin/bench worker", str(tmp_path))


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


def test_a_jobs_site_is_its_whole_prefix():
	assert BENCH.site_of_job("site1::abc::def") == "site1"
	assert BENCH.site_of_job("site10||abc") == "site10"
	assert BENCH.site_of_job("c0ffee") == ""


def described(**arguments) -> str:
	"""A job's description as Frappe makes RQ write it."""
	return get_call_string("frappe.utils.background_jobs.execute_job", (), arguments, max_length=75)


def scheduled(event: str) -> str:
	method = "frappe.core.doctype.scheduled_job_type.scheduled_job_type.run_scheduled_job"
	return described(job_name=method, kwargs={"job_type": event}, method=method, site="a", user="b")


@pytest.mark.parametrize(
	("description", "method"),
	[
		(
			"frappe.utils.background_jobs.execute_job(event=None, method='erpnext.tasks.run', site='a')",
			"erpnext.tasks.run",
		),
		("frappe.utils.background_jobs.execute_job(method=<function build at 0x7f>, site='a')", "build"),
		("shop.orders.ship('42')", "shop.orders.ship"),
		(described(method="shop." + "x" * 80, site="a"), "shop." + "x" * 69 + "..."),
		(scheduled("shop.orders.remind"), "shop.orders.remind"),
		(scheduled("shop." + "x" * 80), "shop." + "x" * 56 + "..."),
		("", ""),
	],
)
def test_a_jobs_method_is_read_from_its_description(description, method):
	assert job_description.method_of(description) == method


@pytest.mark.parametrize("event", ["bank.transfer", "bank." + "x" * 80])
def test_a_policy_for_a_scheduled_event_counts_however_long_its_name_is(event):
	rules = Policy(methods=((event, "hold"), ("bank.mail", "requeue")))
	assert rules.decide(job_description.method_of(scheduled(event)), 1, "requeue")[0] == "hold"
	assert rules.decide(job_description.method_of(scheduled("bank.mail")), 1, "hold")[0] == "requeue"
	assert rules.decide(job_description.method_of(scheduled("shop.remind")), 1, "fail")[0] == "fail"


def test_times_of_rq_are_read_with_and_without_a_fraction():
	moment = datetime(2026, 11, 21, 22, 53, 16, tzinfo=timezone.utc)
	assert snapshot.parse_time("2026-11-21T22:53:16.000000Z") == moment
	assert snapshot.parse_time("2026-11-21T22:53:16Z") == moment
	assert snapshot.parse_time("") is None
	assert snapshot.parse_time(None) is None


def test_custom_queues_have_their_timeouts_and_standard_ones_theirs():
	assert BENCH.queue_timeouts_seconds == {"short": 300, "default": 300, "long": 1500, "reports": 3000}
	assert BENCH.bench_id == "home-frappe-bench"


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


@pytest.mark.parametrize(
	("strategy", "grace", "fate", "interrupted"),
	[
		("rolling", None, "finishes on the old code", False),
		("wait-workers", None, "finishes first", False),
		("no-wait-workers", None, "finishes on the old code", False),
		("suspend-rq", 10, "interrupted if it needs more than 10 s, then run again", True),
		("now", 10, "interrupted if it needs more than 10 s, then run again", True),
		("now", 250, "finishes in the grace", False),
		("now", None, "finishes in the grace", False),
	],
)
def test_the_plan_tells_a_running_jobs_fate_by_strategy(strategy, grace, fate, interrupted):
	started = datetime.fromtimestamp(NOW - 100, timezone.utc)
	job = Job("s::1", "b:default", "started", "m", "s", None, started, 300, "w", 0)
	seen = fleet(worker(state="busy", job="s::1"), jobs=[job])
	answer = make_plan(seen, STRATEGIES[strategy], Options(force_kill_timeout=grace), Policy())
	assert answer.running[0].fate.startswith(fate)
	assert answer.running[0].may_be_interrupted is interrupted
	assert answer.running[0].seconds_left == 200
	assert answer.recommended == "rolling"


def test_the_plan_says_that_a_job_interrupted_too_often_is_held():
	started = datetime.fromtimestamp(NOW - 100, timezone.utc)
	job = Job("s::1", "b:default", "started", "m", "s", None, started, 300, "w", 2)
	seen = fleet(worker(state="busy", job="s::1"), jobs=[job])
	answer = make_plan(seen, STRATEGIES["now"], Options(force_kill_timeout=0), Policy())
	assert "held for a person" in answer.running[0].fate


def test_a_restart_of_other_services_does_not_touch_jobs():
	job = Job("s::1", "b:default", "started", "m", "s", None, None, -1, "w", 0)
	seen = fleet(worker(state="busy", job="s::1"), jobs=[job])
	answer = make_plan(seen, STRATEGIES["now"], Options(only=("web",)), Policy())
	assert answer.running[0].fate.startswith("goes on")
	assert answer.all_done_within_seconds is None


def test_every_state_of_supervisor_is_known():
	from supervisor.states import ProcessStates, getProcessStateDescription

	from safe_restart.engine.managers.supervisor import STATES

	codes = [value for name, value in vars(ProcessStates).items() if isinstance(value, int)]
	assert set(codes) == set(STATES), [getProcessStateDescription(code) for code in codes]
	assert {state for state in STATES.values() if state in base.UP} == {"running", "starting"}


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


def test_a_journal_with_a_column_of_another_version_is_read_and_written(tmp_path):
	(tmp_path / "sites").mkdir()
	journal = Journal(Bench(tmp_path, {}))
	journal.db.execute("ALTER TABLE requests ADD COLUMN of_another_version REAL")
	added = journal.add("rolling", {}, "Administrator")
	assert journal.requests() == journal.open_requests() == [added]
