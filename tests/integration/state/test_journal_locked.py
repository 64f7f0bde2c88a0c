"""Somebody who writes the journal stands still, a frozen helper, say: nobody else breaks, and a restart goes on."""

import os
import signal
import subprocess
import sys

import pytest

from safe_restart.engine.state.journal import BUSY_TIMEOUT_SECONDS, Journal
from tests.support.cli import cli, start_cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import run_long
from tests.support.waiting import wait_for

WRITER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
db.execute("ROLLBACK")
"""


@pytest.fixture
def lock():
	started = []

	def lock(journal: Journal, seconds: float) -> subprocess.Popen:
		writer = subprocess.Popen(
			[sys.executable, "-c", WRITER, journal.path, str(seconds)], stdout=subprocess.PIPE, text=True
		)
		started.append(writer)
		assert writer.stdout.readline() == "locked\n"
		return writer

	yield lock
	for writer in started:
		writer.kill()
		writer.wait()


OTHERS = [
	pytest.param((word,), marks=pytest.mark.slow("waits for the journal's time-out"))
	for word in ("history", "recover")
]


@pytest.mark.parametrize("words", [("status",), *OTHERS])
def test_a_command_says_that_the_journal_is_locked_and_what_to_type(quiet_demo, lock, words):
	journal = Journal(quiet_demo.bench)
	writer = lock(journal, 600)
	os.kill(writer.pid, signal.SIGSTOP)
	refused = cli(quiet_demo, *words)
	assert refused.exit_code == 1
	assert "locked" in refused.text and f"fuser {journal.path}" in refused.text


def test_a_restart_and_who_follows_it_wait_for_a_journal_that_is_locked(quiet_demo, lock):
	jobs = run_long(quiet_demo, 1, 4)
	journal = Journal(quiet_demo.bench)
	process = start_cli(quiet_demo, "--wait-workers", "--only", "workers")
	wait_for(
		lambda: (
			journal.requests()
			and [s.name for s in journal.steps(journal.requests(1)[0].id)][-1:] == ["drain"]
		)
	)
	lock(journal, BUSY_TIMEOUT_SECONDS + 6)
	out, err = process.communicate(timeout=90)
	assert process.returncode in (0, 6), out + err
	assert "Traceback" not in out + err
	assert "waiting until it can" in out + err
	assert_bench_is_healthy(quiet_demo, jobs)


def test_a_journal_that_is_damaged_is_named_with_the_fix(quiet_demo):
	journal = Journal(quiet_demo.bench)
	journal.add("rolling", {}, "a test")
	journal.path.write_bytes(journal.path.read_bytes()[:4096] + b"\xff" * 100_000)
	refused = cli(quiet_demo, "history")
	assert refused.exit_code in (1, 2)
	assert "Traceback" not in refused.text
	assert str(journal.path) in refused.text and "mv " in refused.text
