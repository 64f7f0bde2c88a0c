"""The helper lives on while the unit that started it is stopped."""

import urllib.request
from pathlib import Path

from safe_restart.engine.state.journal import Journal
from tests.support.health import assert_bench_is_healthy
from tests.support.load import end_jobs, run_long
from tests.support.systemd import SystemdBench
from tests.support.waiting import wait_for


class DeskBench(SystemdBench):
	"""Its web asks for restarts."""

	application = "tests.support.asking_web:application"


class WithoutSystemdRun(DeskBench):
	"""Its web finds systemctl, and nothing else."""

	@property
	def web_more(self) -> str:
		return f"Environment=PATH={self.path}/only\n"

	def write_manager(self) -> None:
		super().write_manager()
		(self.path / "only").mkdir()
		(self.path / "only/systemctl").symlink_to("/usr/bin/systemctl")


def ask(bench: SystemdBench, strategy: str) -> str:
	with urllib.request.urlopen(
		f"http://127.0.0.1:{bench.web_port}/restart?{strategy}", timeout=30
	) as answer:
		return answer.read().decode()


def test_a_helper_started_by_the_web_survives_a_restart_of_the_web(make_systemd):
	bench = make_systemd(DeskBench)
	jobs = run_long(bench, 2, 60)
	request_id = ask(bench, "wait-workers")
	journal = Journal(bench.bench)
	wait_for(lambda: journal.request(request_id).helper_pid)
	helper = journal.request(request_id).helper_pid
	cgroup = Path(f"/proc/{helper}/cgroup").read_text()
	assert ".scope" in cgroup and "frappe-web" not in cgroup

	bench.systemctl("restart", bench.unit("frappe-web"))

	assert Path(f"/proc/{helper}").exists()
	end_jobs(bench)
	wait_for(lambda: not journal.request(request_id).is_open, seconds=60)
	assert journal.request(request_id).exit_code == 0, journal.request(request_id).outcome
	assert_bench_is_healthy(bench, jobs)


def test_where_the_helper_would_end_with_the_web_it_is_not_started_and_says_why(make_systemd):
	bench = make_systemd(WithoutSystemdRun)
	said = ask(bench, "rolling")
	assert "would end it too" in said
	assert "systemd-run" in said
	assert "loginctl enable-linger" in said
	assert Journal(bench.bench).requests() == []
	assert_bench_is_healthy(bench)
