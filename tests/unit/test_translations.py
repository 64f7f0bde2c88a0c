"""Every text of the desk that can be translated is in the template that translators begin with."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

APP = Path(__file__).parents[2] / "safe_restart"
POT = APP / "locale/main.pot"
# A string literal as the first argument of `__()`, on the same line or the next
IN_JAVASCRIPT = re.compile(r"""\b__\(\s*("(?:[^"\\\n]|\\.)*")""")
HOW_TO = (
	"Type `bench generate-pot-file --app safe_restart` in a bench with Frappe 16, and commit locale/main.pot."
)


def texts_in_python() -> Iterator[str]:
	"""The literals that are given to Frappe's `_`."""
	for path in APP.rglob("*.py"):
		for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
			is_translated = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_" and node.args
			if is_translated and isinstance(node.args[0], ast.Constant):
				yield node.args[0].value


def texts_in_javascript() -> Iterator[str]:
	for path in APP.rglob("*.js"):
		yield from map(ast.literal_eval, IN_JAVASCRIPT.findall(path.read_text(encoding="utf-8")))


def texts_in_template() -> set[str]:
	"""Each msgid, and msgid_plural, of the template: adjacent quoted lines are one text (gettext's manual, PO Files)."""
	entries = re.findall(
		r'^msgid(?:_plural)? ((?:"(?:[^"\\]|\\.)*"\s*)+)', POT.read_text(encoding="utf-8"), re.MULTILINE
	)
	return {"".join(map(ast.literal_eval, re.findall(r'"(?:[^"\\]|\\.)*"', entry))) for entry in entries}


def test_every_text_that_is_translated_is_in_the_template():
	python, javascript = set(texts_in_python()), set(texts_in_javascript())
	assert len(python) > 10 and len(javascript) > 100
	assert sorted((python | javascript) - texts_in_template()) == [], HOW_TO
