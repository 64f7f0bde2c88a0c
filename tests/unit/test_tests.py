"""The tests keep their own rules: names that are read at a glance, and no fixed sleep in the place of a condition."""

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("tests/**/*.py"), *ROOT.glob("safe_restart/**/test_*.py")])
LONGEST_NAME = 80


def parsed(path: Path) -> ast.Module:
	return ast.parse(path.read_text())


def sleeps_before_assertions(text: str) -> Iterator[int]:
	"""Lines with a sleep whose next statement is an assertion, unless a comment gives the reason."""
	lines = text.splitlines()
	for node in ast.walk(ast.parse(text)):
		body = getattr(node, "body", None)
		for first, second in itertools.pairwise(body) if isinstance(body, list) else ():
			is_sleep = isinstance(first, ast.Expr) and ast.unparse(first).startswith(
				("time.sleep(", "sleep(")
			)
			has_reason = "#" in lines[first.lineno - 1] or lines[first.lineno - 2].strip().startswith("#")
			if is_sleep and isinstance(second, ast.Assert) and not has_reason:
				yield first.lineno


def test_the_name_of_a_test_is_read_at_a_glance():
	names = [
		node.name
		for path in FILES
		for node in ast.walk(parsed(path))
		if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
	]
	assert len(names) > 300
	assert [name for name in names if len(name) > LONGEST_NAME] == []


def test_no_assertion_comes_after_a_fixed_sleep():
	found = {str(path.relative_to(ROOT)): list(sleeps_before_assertions(path.read_text())) for path in FILES}
	assert {path: lines for path, lines in found.items() if lines} == {}


def test_a_sleep_before_an_assertion_is_noticed_unless_its_reason_is_given():
	assert list(sleeps_before_assertions("time.sleep(1)\nassert x\n")) == [1]
	assert list(sleeps_before_assertions("def f():\n\tsleep(1)\n\tassert x\n")) == [2]
	assert (
		list(sleeps_before_assertions("# Nothing tells that it does not happen.\ntime.sleep(1)\nassert x"))
		== []
	)
	assert list(sleeps_before_assertions("time.sleep(1)\nwait_for(x)\nassert x\n")) == []
