"""docs/facts.md has each fact that code, tests and docs cite by its number."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FACTS = ROOT / "docs/facts.md"
FOLDERS = ("safe_restart", "tests", "benchmarks", "docs")
SUFFIXES = {".py", ".js", ".lua", ".md"}

NUMBER = r"\d+(?:\.\d+)*"
# A comment may be wrapped after the word, and one word may stand before several numbers.
BETWEEN = r"[\s#/*-]+"
CITATION = re.compile(rf"\bFACTS{BETWEEN}({NUMBER}(?:(?:,|\s+and|\s+or){BETWEEN}{NUMBER})*)")
# "## 2. Frappe and bench", "### 2.1 Queues"
DEFINITION = re.compile(rf"^#+ ({NUMBER})\.? ", re.MULTILINE)


def cited(text: str) -> list[str]:
	return [number for numbers in CITATION.findall(text) for number in re.findall(NUMBER, numbers)]


def defined(text: str) -> list[str]:
	return DEFINITION.findall(text)


def citations() -> dict[str, set[str]]:
	"""The files that cite each number."""
	found: dict[str, set[str]] = {}
	for folder in FOLDERS:
		for path in (ROOT / folder).rglob("*"):
			if path.suffix in SUFFIXES and "node_modules" not in path.parts:
				for number in cited(path.read_text()):
					found.setdefault(number, set()).add(str(path.relative_to(ROOT)))
	return found


def test_each_cited_fact_exists():
	known, used = set(defined(FACTS.read_text())), citations()
	assert {"1.1", "1.2", "2"} <= set(used), "the citations in the code were not found"
	missing = {number: sorted(files) for number, files in used.items() if number not in known}
	assert not missing, f"cited and not in docs/facts.md: {missing}"


def test_no_two_facts_have_the_same_number():
	numbers = defined(FACTS.read_text())
	assert len(numbers) > 50
	assert sorted(numbers) == sorted(set(numbers))


def test_each_fact_names_its_source():
	sections = re.split(r"^#+ (?=\d)", FACTS.read_text(), flags=re.MULTILINE)[1:]
	facts = [text for text in sections if re.match(r"\d+\.\d", text)]
	assert facts
	assert [text.splitlines()[0] for text in facts if "\nSource: " not in text] == []


def test_a_citation_is_found_however_it_is_written():
	word = "FACTS"  # apart from its number, which would count as a citation otherwise
	assert cited(f"it is known ({word} 1.12).") == ["1.12"]
	assert cited(f"see {word} 2.") == ["2"]
	assert cited(f"# as {word}\n\t# 1.3 says") == ["1.3"]
	assert cited(f"({word} 1.3, 1.4 and 2.20)") == ["1.3", "1.4", "2.20"]
	assert cited(f"{word}.md and {word} alone, in 3 places") == []


def test_a_number_in_the_middle_of_a_sentence_defines_no_fact():
	assert defined("## 2. Frappe\n\n### 2.1 Queues\n\nas in 1.15\n1.16 has it\n1. first\n") == ["2", "2.1"]
