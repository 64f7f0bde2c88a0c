"""A program's output, line by line."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safe_restart.engine.processes import subprocess_runner
from safe_restart.engine.processes.subprocess_runner import TAIL_LINES, OutputLines

LINE_BYTES = 8  # so that lines that are cut are found often


def fed(chunks: list[bytes]) -> list[str]:
	said = []
	with pytest.MonkeyPatch.context() as patch:
		patch.setattr(subprocess_runner, "LINE_BYTES", LINE_BYTES)
		lines = OutputLines(said.append)
		for chunk in chunks:
			lines.feed(chunk)
		lines.finish()
	assert list(lines.tail) == said[-TAIL_LINES:]
	return said


pieces = st.sampled_from(
	[b"\r", b"\n", b"\r\n", b" ", b"one", "é…".encode(), b"\xff", b"x" * LINE_BYTES, b"yz"]
)


@given(st.lists(pieces, max_size=12).map(b"".join), st.lists(st.integers(0, 3 * LINE_BYTES), max_size=6))
@example(b"x" * LINE_BYTES + b"y\ryz\n", [LINE_BYTES + 2])
def test_a_migrations_output_is_the_same_lines_however_it_comes_in(written, cuts):
	edges = [0, *sorted(cut % (len(written) + 1) for cut in cuts), len(written)]
	chunks = [written[start:end] for start, end in itertools.pairwise(edges)]
	assert fed(chunks) == fed([written]) == fed([bytes([byte]) for byte in written])
	assert all(line.strip() and "\n" not in line and "\r" not in line for line in fed([written]))
