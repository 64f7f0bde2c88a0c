"""The journal on disk."""

from safe_restart.engine.core.bench import Bench
from safe_restart.engine.state.journal import Journal


def test_a_journal_with_a_column_of_another_version_is_read_and_written(tmp_path):
	(tmp_path / "sites").mkdir()
	journal = Journal(Bench(tmp_path, {}))
	journal.db.execute("ALTER TABLE requests ADD COLUMN of_another_version REAL")
	added = journal.add("rolling", {}, "Administrator")
	assert journal.requests() == journal.open_requests() == [added]
