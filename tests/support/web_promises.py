"""What `setup web` promises under every manager. A module that has the fixtures `kept`, a bench after `setup web` with
SYNC workers, `threaded`, a bench with gthread workers before it, and `restart_by_hand`, inherits these tests."""

import json
import os
import signal
import socket

import psutil
import pytest

from safe_restart.demo.bench import DemoBench
from safe_restart.demo.load import WebLoad
from tests.support.cli import cli
from tests.support.health import assert_bench_is_healthy
from tests.support.waiting import wait_for

RESTARTS = int(os.environ.get("SAFE_RESTART_WEB_RESTARTS", "5"))
SYNC = "-w 2 --preload -t 120"


def keeper(demo: DemoBench) -> int:
	return next(service.pid for service in demo.fleet_reader().manager.services() if service.kind == "web")


def masters(demo: DemoBench) -> list[int]:
	"""The gunicorns of the keeper."""
	return [process.pid for process in psutil.Process(keeper(demo)).children()]


def masters_or_none(demo: DemoBench) -> list[int]:
	try:
		return masters(demo)
	except psutil.Error:
		return []


def deploy(demo: DemoBench, **code) -> None:
	(demo.path / "web.json").write_text(json.dumps(code))


def is_connected(process: psutil.Process, client: tuple[str, int]) -> bool:
	ask = process.net_connections if hasattr(process, "net_connections") else process.connections
	return any(one.raddr == client for one in ask("tcp"))


class WebPromises:
	def test_no_request_fails_while_the_web_is_replaced_again_and_again(self, kept):
		old, pid = masters(kept), keeper(kept)
		with WebLoad(kept) as hammer:
			for _ in range(RESTARTS):
				done = cli(kept, "--only", "web", "--json")
				assert done.exit_code == 0, done.text
				assert done.json["web"] == {"checked": True, "outage_ms": 0}
		print(f"{hammer.requests} requests, {RESTARTS} restarts, longest {hammer.longest_seconds:.3f} s")
		assert hammer.failures == {}
		assert hammer.requests > 100 * RESTARTS
		assert keeper(kept) == pid
		assert len(masters(kept)) == 1 and masters(kept) != old
		assert_bench_is_healthy(kept)

	@pytest.mark.parametrize(
		("code", "why"), [({"status": "500 Broken"}, "answered 500"), ({"exits": True}, "ended with")]
	)
	def test_a_new_web_that_does_not_work_is_turned_away_and_the_old_one_serves_on(self, kept, code, why):
		old = masters(kept)
		deploy(kept, **code)
		with WebLoad(kept, clients=4) as hammer:
			done = cli(kept, "--json")
		assert done.exit_code == 1, done.text
		assert why in done.json["outcome"] and "goes on serving" in done.json["outcome"]
		assert "logs web" in done.json["outcome"]
		assert hammer.failures == {}
		wait_for(lambda: masters(kept) == old, "the one that was turned away has left")
		deploy(kept)
		assert cli(kept).exit_code == 0
		assert masters(kept) != old
		assert_bench_is_healthy(kept)

	@pytest.mark.slow("waits for a time-out")
	def test_a_new_web_that_does_not_answer_in_time_is_ended_and_the_old_one_serves_on(
		self, kept, restart_by_hand
	):
		file = kept.path / "config/web_keeper.py"
		file.write_text(file.read_text().replace("BOOT_SECONDS = 90", "BOOT_SECONDS = 3"))
		restart_by_hand(kept)
		wait_for(kept.is_up)
		old = masters(kept)
		os.mkfifo(kept.path / "web.json")  # which the new process reads while it boots, for ever
		with WebLoad(kept, clients=4) as hammer:
			done = cli(kept, "--only", "web", "--json")
		assert done.exit_code == 1, done.text
		assert "did not answer within 3 s. The old one goes on serving" in done.json["outcome"]
		assert hammer.failures == {}
		wait_for(lambda: masters(kept) == old, "the one that was turned away has left")
		assert_bench_is_healthy(kept)

	@pytest.mark.parametrize("victim", ["gunicorn", "keeper"])
	def test_the_web_comes_back_when_gunicorn_or_its_keeper_is_killed(self, kept, victim):
		old = masters(kept)
		os.kill(old[0] if victim == "gunicorn" else keeper(kept), signal.SIGKILL)
		wait_for(lambda: masters_or_none(kept) not in (old, []), "a new gunicorn")
		wait_for(kept.is_up)
		assert_bench_is_healthy(kept)
		assert cli(kept, "--only", "web").exit_code == 0

	@pytest.mark.slow("restarts the whole bench by hand")
	def test_a_restart_by_hand_finishes_the_request_that_runs_and_leaves_one_web(self, kept, restart_by_hand):
		old = masters(kept)
		workers = psutil.Process(old[0]).children()
		with socket.create_connection(("127.0.0.1", kept.web_port), timeout=60) as request:
			request.sendall(b"GET /slow HTTP/1.0\r\n")
			client = request.getsockname()
			wait_for(lambda: any(is_connected(worker, client) for worker in workers), "a worker has taken it")
			request.sendall(b"\r\n")
			restart_by_hand(kept)
			assert request.recv(64).startswith(b"HTTP/1.0 200")
		wait_for(kept.is_up)
		assert len(masters(kept)) == 1 and masters(kept) != old
		assert_bench_is_healthy(kept)

	@pytest.mark.slow("restarts again and again")
	def test_threaded_workers_drop_few_requests_and_setup_says_so(self, threaded):
		said = cli(threaded, "setup", "web", "--yes")
		assert said.exit_code == 0, said.text
		assert "1 to 3 requests" in said.out
		with WebLoad(threaded) as hammer:
			for _ in range(3):
				assert cli(threaded, "--only", "web").exit_code == 0
		print(f"gthread: {dict(hammer.outcomes)}, longest {hammer.longest_seconds:.3f} s")
		assert "refused" not in hammer.failures
		assert sum(hammer.failures.values()) <= 9
		assert len(masters(threaded)) == 1
