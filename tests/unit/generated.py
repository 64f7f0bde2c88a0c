"""What hypothesis thinks of, for more than one room."""

from hypothesis import strategies as st

from safe_restart.engine.jobs.actions import INTERRUPTED_CHOICES
from safe_restart.engine.processes.classify import KINDS
from safe_restart.engine.restart.options import Options

JSON = st.recursive(
	st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=5),
	lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
	max_leaves=6,
)


SECONDS = st.integers(0, 10**9) | st.floats(0, 1e9)


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
