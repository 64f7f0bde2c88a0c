"""The command line as its users meet it: bad input, following, being killed, telling the truth."""

import json
import os
import signal
import subprocess
import time
from contextlib import suppress

import click
import pytest
from click.testing import CliRunner

from safe_restart.commands import safe_restart
from safe_restart.engine.core.environment import python_path
from tests.support.cli import cli, start_cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import end_jobs, run_long
from tests.support.restarts import (
	helper_of,
	start_draining,
	wait_for_step,
	wait_until_workers_look_again,
	worker_pids,
)
from tests.support.waiting import wait_for


@pytest.mark.parametrize(
	("words", "says"),
	[
		(["--only", "databases"], "'databases' is no service"),
		(["--only", ""], "names no service"),
		(["--wait-workers", "--now"], "contradict each other"),
		(["--wait-workers", "--no-wait-workers", "--suspend-rq"], "contradict each other"),
		(["--wait-workers-timeout", "-1"], "0 or more"),
		(["--wait-workers-timeout", "soon"], "soon"),
		(["--wait-workers-timeout", "nan"], "0 or more"),
		(["--force-kill-timeout", "-0.5"], "0 or more"),
		(["--interrupted", "forget"], "forget"),
		(["--only", "redis"], "Redis cannot be restarted with rolling"),
		(["plan", "gently"], "'gently' is no strategy"),
		(["show", "20200101-000000-abcd"], "There is no request"),
		(["cancel", "20200101-000000-abcd"], "There is no request"),
		(["logs", "mail"], "'mail' is no service"),
		(["drain", "--hold", "-5"], "0 or more"),
		(["nonsense"], "nonsense"),
	],
)
def test_bad_input_is_refused_in_one_sentence_before_anything_is_touched(words_demo, words, says):
	before = worker_pids(words_demo)
	refused = cli(words_demo, *words)
	assert refused.exit_code == 2, refused.text
	assert says in refused.text
	assert worker_pids(words_demo) == before
	assert not words_demo.redis.exists("rq:suspended")


@pytest.fixture(scope="module")
def words_demo(make_shared_bench):
	return make_shared_bench(boot_seconds=0)


def test_under_bench_each_command_means_the_bench_that_was_named(words_demo):
	bench = click.Group("bench", commands={"safe-restart": safe_restart})
	words = ["safe-restart", "--bench", str(words_demo.path), "jobs", "requeue", "nothing"]
	refused = CliRunner().invoke(bench, words)
	assert "No job 'nothing' is held" in refused.output, refused.output


def test_a_folder_that_is_no_bench_is_refused(words_demo, tmp_path):
	refused = cli(words_demo, "--bench", str(tmp_path), "--wait-workers")
	assert refused.exit_code == 2
	assert "is not a bench" in refused.text


@pytest.mark.parametrize(
	("config", "says"),
	[
		("{broken", "not valid JSON"),
		("[]", "must hold a JSON object"),
		('{"safe_restart": 3}', "must hold a JSON object"),
		('{"redis_queue": "localhost"}', "no Redis URL"),
		('{"workers": {"a": {"timeout": "long"}}}', "wrong kind"),
		('{"webserver_port": "http"}', "wrong kind"),
	],
)
def test_a_broken_configuration_is_refused(words_demo, tmp_path, config, says):
	(tmp_path / "sites").mkdir()
	(tmp_path / "sites/common_site_config.json").write_text(config)
	refused = cli(words_demo, "--bench", str(tmp_path))
	assert refused.exit_code == 2
	assert says in refused.text
	assert not (tmp_path / "sites/.safe-restart").exists()


def test_a_bench_without_a_process_manager_is_refused_with_the_fix(words_demo, tmp_path):
	(tmp_path / "sites").mkdir()
	# named, since these tests may run in a container themselves
	config = {"safe_restart": {"process_manager": "supervisor"}}
	(tmp_path / "sites/common_site_config.json").write_text(json.dumps(config))
	refused = cli(words_demo, "--bench", str(tmp_path))
	assert refused.exit_code == 2
	assert "supervisor_socket" in refused.text


def test_a_socket_this_user_may_not_use_is_named_with_the_fix(words_demo):
	if os.geteuid() != 0:
		pytest.skip("only root can give a socket to somebody else: run the tests as root")
	socket = words_demo.supervisor_socket
	nobody = 65534
	for folder in (words_demo.path, words_demo.path / "config", words_demo.path / "config/supervisor"):
		folder.chmod(0o755)
	assert socket.stat().st_mode & 0o077 == 0
	from safe_restart.engine.core import bench
	from safe_restart.engine.managers import detect

	read, write = os.pipe()
	if (child := os.fork()) == 0:
		said = "it was let in"
		try:
			os.setuid(nobody)
			detect.find_manager(bench.load(words_demo.path))
		except BaseException as error:
			said = f"{type(error).__name__}: {error}"
		os.write(write, said.encode())
		os._exit(0)
	os.waitpid(child, 0)
	os.close(write)
	said = os.read(read, 10000).decode()
	assert said.startswith("Refused")
	assert "may not talk to supervisor" in said
	assert "chown=" in said


def test_json_is_one_object_on_standard_output_also_when_refused(words_demo):
	done = cli(words_demo, "--only", "scheduler", "--json")
	assert set(done.json) >= {
		"request",
		"strategy",
		"status",
		"exit_code",
		"started_at",
		"finished_at",
		"seconds",
		"steps",
		"jobs",
		"workers",
		"web",
		"warnings",
	}
	refused = cli(words_demo, "--only", "redis", "--json")
	assert refused.exit_code == refused.json["exit_code"] == 2
	assert refused.json["status"] == "refused"
	contradicting = cli(words_demo, "--now", "--wait-workers", "--json")
	assert set(contradicting.json) == set(done.json)
	assert contradicting.exit_code == contradicting.json["exit_code"] == 2


def test_dry_run_and_plan_touch_nothing_and_tell_each_jobs_fate(demo):
	before = worker_pids(demo)
	jobs = run_long(demo, 1, 60)
	plan = cli(demo, "--now", "--force-kill-timeout", "5", "--dry-run", "--json").json
	assert plan["running"][0]["may_be_interrupted"] is True
	assert plan["running"][0]["method"] == "demo.work_for"
	assert plan["running"][0]["site"] == "demo.localhost"
	assert 0 < plan["running"][0]["seconds_left"] <= 300
	assert cli(demo, "plan", "wait-workers", "--json").json["running"][0]["may_be_interrupted"] is False
	assert cli(demo, "plan").out.count("Recommended: rolling") == 1
	assert worker_pids(demo) == before
	assert cli(demo, "history", "--json").json["requests"] == []
	end_jobs(demo)
	assert_bench_is_healthy(demo, jobs)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize(
	"after_seconds", [0.6, *(pytest.param(s, marks=pytest.mark.slow("another moment")) for s in (0.15, 2.5))]
)
def test_killing_the_command_line_never_stops_a_restart_half_way(demo, number, after_seconds):
	jobs = run_long(demo, 2, 2)
	process = start_cli(demo, "--wait-workers")
	time.sleep(after_seconds)
	process.send_signal(number)
	process.communicate(timeout=60)
	demo.enqueue(0.01, "after")
	wait_for(lambda: not any(r["status"] in ("queued", "running") for r in history(demo)), "the request ends")
	assert_bench_is_healthy(demo, [*jobs, "after"])


def history(demo) -> list[dict]:
	return cli(demo, "history", "--json").json["requests"]


def test_ctrl_c_after_the_end_leaves_the_exit_code_as_it_was_told(words_demo):
	process = start_cli(words_demo, "--only", "scheduler")
	while "Completed" not in (line := process.stdout.readline()):
		assert line, process.stderr.read()
	while process.poll() is None:
		process.send_signal(signal.SIGINT)
		time.sleep(0.001)
	assert process.returncode == 0


def test_ctrl_c_cancels_before_anything_is_stopped(demo):
	before = worker_pids(demo)
	jobs = run_long(demo, 3, 60)
	process = start_draining(demo, "--json")
	wait_for_step(demo, "drain")
	process.send_signal(signal.SIGINT)
	out, _ = process.communicate(timeout=30)
	assert process.returncode == 5
	assert json.loads(out)["status"] == "cancelled"
	assert not demo.redis.exists("rq:suspended")
	assert worker_pids(demo) == before
	end_jobs(demo)
	assert_bench_is_healthy(demo, jobs)


def test_the_helper_outlives_the_session_and_takes_its_first_step_soon(demo):
	jobs = run_long(demo, 1, 60)
	process = start_cli(demo, "--wait-workers")
	wait_for(lambda: history(demo) and history(demo)[0]["status"] == "running")
	helper = helper_of(demo)
	assert os.getsid(helper.pid) == helper.parent().pid
	assert helper.memory_info().rss < 40 * 1024 * 1024
	process.kill()
	process.wait()
	assert helper.is_running()
	end_jobs(demo)
	wait_for(lambda: history(demo)[0]["status"] == "completed")
	assert_bench_is_healthy(demo, jobs)


def test_status_tells_workers_jobs_and_the_restart_that_runs(demo):
	jobs = run_long(demo, 1, 60)
	process = start_draining(demo)
	seen = cli(demo, "status", "--json").json
	assert seen["request"]["status"] == "running"
	assert seen["suspended_by"].startswith("safe-restart:")
	(worker,) = [worker for worker in seen["workers"] if worker["job"]]
	assert worker["job"]["method"] == "demo.work_for"
	assert worker["job"]["site"] == "demo.localhost"
	text = cli(demo, "status", "-v").out
	assert "demo.work_for" in text and "Suspended by this bench's own restart" in text and "QUEUE" in text
	end_jobs(demo)
	assert process.wait(60) == 0
	assert_bench_is_healthy(demo, jobs)


def test_drain_holds_the_bench_and_resume_lets_it_go(demo):
	jobs = run_long(demo, 1, 1)
	drained = cli(demo, "drain", "--hold", "60", "--json")
	assert drained.exit_code == 0, drained.text
	assert set(demo.runs()) == set(jobs)
	demo.enqueue(0.01, "held-back")
	blocked = cli(demo)
	assert blocked.exit_code == 4
	assert "safe-restart resume" in blocked.text
	wait_until_workers_look_again(demo)
	assert "held-back" not in demo.runs("begin")
	assert cli(demo, "resume").exit_code == 0
	assert_bench_is_healthy(demo, [*jobs, "held-back"])


def test_a_hold_ends_by_itself(demo):
	assert cli(demo, "drain", "--hold", "1").exit_code == 0
	wait_for(lambda: not demo.redis.exists("rq:suspended"), seconds=10)
	assert_bench_is_healthy(demo)


def test_resume_does_not_lift_what_somebody_else_set(demo):
	demo.redis.set("rq:suspended", "somebody")
	refused = cli(demo, "resume")
	assert refused.exit_code == 1
	assert "somebody" in refused.text
	assert demo.redis.get("rq:suspended") == b"somebody"


def test_history_show_and_logs_tell_what_happened(demo):
	assert cli(demo, "--only", "web", "--reason", "new certificate").exit_code == 0
	(request,) = history(demo)
	assert request["reason"] == "new certificate"
	shown = cli(demo, "show", request["request"])
	assert "preflight" in shown.out and "Completed" in shown.out
	assert cli(demo, "show", request["request"], "--json").json["status"] == "completed"
	assert "Booting worker" in cli(demo, "logs", "web", "--tail", "200").out


def test_logs_follow_prints_what_is_appended(demo):
	process = start_cli(demo, "logs", "web", "--tail", "0", "--follow")
	os.set_blocking(process.stdout.fileno(), False)
	said = b""

	def is_followed() -> bool:
		nonlocal said
		with (demo.path / "logs/frappe-web.log").open("a") as log:
			log.write("appended line\n")
		with suppress(BlockingIOError):
			said += os.read(process.stdout.fileno(), 65536)
		return b"appended line" in said

	wait_for(is_followed, "an appended line is printed")
	process.send_signal(signal.SIGINT)
	assert process.wait(10) in (0, 130, -signal.SIGINT)


def test_doctor_finds_a_healthy_bench_healthy_and_names_what_is_wrong(demo):
	healthy = cli(demo, "doctor")
	assert healthy.exit_code == 0, healthy.text
	assert "stopwaitsecs is 360, shorter than the 1500 s" in healthy.out

	(demo.path / "apps/shop").mkdir()
	(demo.path / "apps/shop/orders.py").write_text("")
	os.utime(demo.path / "apps/shop/orders.py", (time.time() + 5, time.time() + 5))
	redis = demo.redis
	redis.sadd("rq:workers", "rq:worker:ghost")
	redis.sadd(f"rq:workers:{demo.bench.queue_prefix}default", "rq:worker:ghost")
	redis.sadd("rq:queues", "rq:queue:other-bench:default")
	redis.config_set("save", "")
	redis.config_set("appendonly", "no")
	redis.set("rq:suspended", "somebody")
	said = cli(demo, "doctor").out
	for words in (
		"3 workers older than the code",
		"ghost",
		"other benches",
		"keeps nothing on disk",
		"somebody",
	):
		assert words in said, said


def test_journal_is_private(demo):
	assert cli(demo, "--only", "scheduler").exit_code == 0
	state = demo.path / "sites/.safe-restart"
	assert state.stat().st_mode & 0o777 == 0o700
	assert {path.stat().st_mode & 0o777 for path in state.iterdir()} == {0o600}


@pytest.mark.parametrize(
	"words",
	[("status", "-v"), ("plan",), ("doctor",), ("history",), ("--detach", "--reason", "für später …")],
)
def test_a_locale_without_utf_8_ends_no_command(make_bench, words):
	"""As cron, a container or ssh may have it: files are UTF-8, and the terminal shows what it can."""

	def write_beyond_ascii(demo):
		config = demo.path / "sites/common_site_config.json"
		values = json.loads(config.read_text(encoding="utf-8"))
		config.write_text(json.dumps({**values, "note": "Grüße"}, ensure_ascii=False), encoding="utf-8")

	demo = make_bench(web=False, before_start=write_beyond_ascii)
	plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": python_path()}
	done = subprocess.run(demo.command(*words), env={**os.environ, **plain}, capture_output=True, timeout=60)
	said = (done.stdout + done.stderr).decode(errors="replace")
	assert done.returncode in (0, 1) and "Traceback" not in said, said
