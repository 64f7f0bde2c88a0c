"""The journal's disk is full: nothing begins that could not be written down, and nothing ends half way because of it."""

import pytest

from safe_restart.engine.core.bench import Bench
from safe_restart.engine.core.errors import Unwritable
from safe_restart.engine.state.journal import Journal
from safe_restart.engine.state.records import COMPLETED


@pytest.fixture
def journal(tmp_path) -> Journal:
	(tmp_path / "sites").mkdir()
	return Journal(Bench(tmp_path, {}))


def fill(journal: Journal) -> None:
	"""SQLite then answers as on a full disk: SQLITE_FULL (sqlite.org/pragma.html#pragma_max_page_count)."""
	journal.note("a", "x" * 3000)
	pages = journal.db.execute("PRAGMA page_count").fetchone()[0]
	journal.db.execute(f"PRAGMA max_page_count = {pages}")


def make_room(journal: Journal) -> None:
	journal.db.execute("PRAGMA max_page_count = 100000")


def test_before_anything_stops_a_journal_that_cannot_be_written_is_an_error(journal):
	fill(journal)
	with pytest.raises(Unwritable, match=r"disk is full.*Nothing was stopped.*make room"):
		journal.note("a", "x" * 10000)
	make_room(journal)
	journal.note("a", "later")
	assert [event.text[:5] for event in journal.events("a")] == ["xxxxx", "later"]


def test_from_then_on_what_cannot_be_written_is_kept_and_written_in_order(journal):
	request = journal.add("rolling", {}, "a test")
	fill(journal)
	journal.writer.buffers_failures = True
	number = journal.start_step(request.id, "replace" + "x" * 5000)
	assert journal.writer.problem
	journal.end_step(request.id, number, "done", "y" * 5000)
	assert journal.start_step(request.id, "verify") == number + 1
	journal.remember(request.id, halted=["z" * 5000])
	assert journal.request(request.id).state["halted"], "what was remembered is known, if not written"
	assert not journal.steps(request.id)
	assert not journal.writer.flush(0)

	make_room(journal)
	assert journal.writer.flush(0)
	assert [(step.number, step.status) for step in journal.steps(request.id)] == [(1, "done"), (2, "doing")]
	assert Journal(Bench(journal.path.parents[2], {})).request(request.id).state["halted"]


def test_an_end_that_cannot_be_written_is_kept_as_the_last_word(journal):
	request = journal.add("rolling", {}, "a test")
	fill(journal)
	journal.write_report(request.id, COMPLETED, 0, "x" * 5000, {})
	assert journal.request(request.id).is_open
	assert journal.last_word["exit_code"] == 0
	make_room(journal)
	assert journal.writer.flush(0)
	assert journal.request(request.id).exit_code == 0
