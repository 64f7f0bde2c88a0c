"""What the documentation points at is there: files, headings, commands and options."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from safe_restart.commands import safe_restart

ROOT = Path(__file__).parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
REFERENCE = ROOT / "docs/command-line.md"

FENCED = re.compile(r"^[ ]*```.*?^[ ]*```[ ]*$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
# Not a file's or a route's name, such as safe-restart-web.conf
CALL = re.compile(r"(?<![\w.-])safe-restart (.*)")
COMMAND = re.compile(r"[a-z][a-z-]*")
ENDS = {"#", "&&", "||", "|", ";", "…"}


def prose(path: Path) -> str:
	return FENCED.sub("", path.read_text())


def anchors(path: Path) -> set[str]:
	"""Headings as GitHub links to them."""
	found: dict[str, int] = {}
	for heading in HEADING.findall(prose(path)):
		plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
		found[plain] = found.get(plain, -1) + 1
	return {
		f"{name}-{number}" if number else name for name, last in found.items() for number in range(last + 1)
	}


def dead_links(path: Path) -> Iterator[str]:
	for target in LINK.findall(INLINE.sub("", prose(path))):
		if re.match(r"[a-z]+:", target):
			continue
		file, _, anchor = target.partition("#")
		there = (path.parent / file).resolve() if file else path
		if not there.exists() or (anchor and anchor not in anchors(there)):
			yield target


def calls(path: Path) -> Iterator[list[str]]:
	"""The words after each `safe-restart`, in code only, as prose may use it as a name."""
	text = path.read_text()
	lines = [line for block in FENCED.findall(text) for line in block.splitlines()[1:-1]]
	code = [" ".join(span.split()) for span in INLINE.findall(FENCED.sub("", text))]
	for line in [*(line for line in lines if not line.lstrip().startswith("#")), *code]:
		for found in CALL.finditer(line):
			yield found.group(1).split()


def mistake(words: list[str]) -> str:
	"""What the command line would not know in these words; empty where it knows all, up to the first argument."""
	command: click.Command = safe_restart
	rest = iter(words)
	for word in rest:
		if word in ENDS or word.startswith("…"):
			break
		if word.startswith("-"):
			name, _, value = word.partition("=")
			options = command.get_params(click.Context(command))  # with --help
			option = next((one for one in options if name in one.opts), None)
			if option is None:
				return f"{command.name} has no option {name}"
			if not value and not option.is_flag:
				next(rest, None)
		elif isinstance(command, click.Group):
			known = command.commands.get(word)
			if known is None:
				return f"{command.name} has no command {word}" if COMMAND.fullmatch(word) else ""
			command = known
	return ""


def each_command(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
	yield " ".join(words), command
	if isinstance(command, click.Group):
		for name, below in command.commands.items():
			yield from each_command(below, (*words, name))


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_each_link_leads_somewhere(path):
	assert list(dead_links(path)) == []


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_each_command_that_the_docs_name_exists(path):
	wrong = {" ".join(words): said for words in calls(path) if (said := mistake(words))}
	assert wrong == {}


def test_the_reference_names_each_command_with_its_options():
	text = REFERENCE.read_text()
	rows = [line for line in text.splitlines() if line.startswith("|")]
	for name, command in each_command(safe_restart, ("safe-restart",)):
		about = [row for row in rows if row.startswith(f"| `{name}")] if name != "safe-restart" else rows
		if not isinstance(command, click.Group) or command.invoke_without_command:
			assert about, name
		for option in command.params:
			if isinstance(option, click.Option):
				assert any(option.opts[-1] in row for row in about), (name, option.opts)


def test_a_link_that_leads_nowhere_is_noticed(tmp_path):
	page = tmp_path / "page.md"
	page.write_text(
		"# One word\n\n[a](page.md#one-word) [b](#one-word) [c](https://example.com) `[d](no.md)`\n"
	)
	assert list(dead_links(page)) == []
	page.write_text("# One word\n\n[a](other.md) ![b](no.png) [c](#another)\n")
	assert list(dead_links(page)) == ["other.md", "no.png", "#another"]


def test_a_command_that_does_not_exist_is_noticed():
	assert mistake(["--bench", "PATH", "setup", "web"]) == ""
	assert mistake(["plan", "now"]) == ""
	assert mistake(["jobs", "requeue", "ID"]) == ""
	assert mistake(["--only", "workers", "&&", "true"]) == ""
	assert "no command" in mistake(["restart"])
	assert "no command" in mistake(["setup", "nginx"])
	assert "no option" in mistake(["drain", "--never"])
