"""What the bench's apps say about restarts: their hooks.py is read here; their functions run in a Frappe of their own.

hooks.py is read and not imported: an app that no longer imports is why one restarts.
"""

import ast
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ..core.bench import Bench
from ..core.environment import python_path
from ..core.errors import RestartError
from ..processes.subprocess_runner import OutputLines, SubprocessRunner
from .visibility import is_site_allowed

POLICY = "safe_restart_job_policy"
BLOCKERS = "safe_restart_blockers"
BEFORE, AFTER = "before_safe_restart", "after_safe_restart"

# Frappe gives each function 30 s (desk/hook_runner.py); this is for all of them on all sites, and for loading Frappe.
CALL_SECONDS = 180
ANSWER = "safe_restart:"  # begins the lines that are ours, among whatever apps print


@dataclass(frozen=True)
class Objection:
	"""What one app's function on one site said, or why it could not be asked."""

	site: str
	by: str
	sentence: str

	def __str__(self) -> str:
		return f"{self.sentence.rstrip('.')} ({self.by}, {self.site})"


def declares(bench: Bench, hook: str) -> bool:
	"""Whether an app of this bench has that hook."""
	return any(True for _ in assigned(bench, hook))


def job_policies(bench: Bench) -> dict:
	"""The literal dictionaries that apps assign to POLICY, put together; others are passed over."""
	found: dict = {}
	for node in assigned(bench, POLICY):
		try:
			value = ast.literal_eval(node)
		except (ValueError, TypeError):
			continue
		found |= value if isinstance(value, dict) else {}
	return found


def assigned(bench: Bench, name: str) -> Iterator[ast.expr]:
	"""What hooks.py of each app assigns to that name, as it is written there."""
	for path in sorted(bench.path.glob("apps/*/*/hooks.py")):
		try:
			text = path.read_text()
			tree = ast.parse(
				text if name in text else ""
			)  # most apps have none, and reading is quicker than parsing
		except (OSError, SyntaxError, ValueError):
			continue
		for node in tree.body:
			if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == name for t in node.targets):
				yield node.value


def objections(bench: Bench) -> list[Objection]:
	"""What apps say against a restart now; nobody is asked where no app has the hook."""
	return call(bench, "blockers", bench.sites) if declares(bench, BLOCKERS) else []


def bring_sites_up_to_date(bench: Bench) -> list[Objection]:
	"""Let the sites that show restarts to their users take over what the journal says; returns what went wrong."""
	listed = bench.sites_path / "apps.txt"
	is_ours = listed.is_file() and "safe_restart" in listed.read_text().split()
	sites = [site for site in bench.sites if is_site_allowed(bench, site)]
	return call(bench, "sync", tuple(sites)) if is_ours and sites else []


def call(bench: Bench, verb: str, sites: tuple[str, ...], *words: str) -> list[Objection]:
	"""Let a Frappe of its own do `verb` (see desk/site_process.py) on these sites; returns what they object to.

	It prints a line of JSON for each objection, {"site", "by", "sentence"}, and {"site"} at a site's end. A site that
	does not come to its end objects too: nobody knows what it would have said.
	"""
	objections: list[Objection] = []
	answered: set[str] = set()
	said: list[str] = []

	def hear(line: str) -> None:
		if not line.startswith(ANSWER):
			said.append(line)
			return
		answer = json.loads(line.removeprefix(ANSWER))
		if "sentence" in answer:
			objections.append(Objection(answer["site"], answer["by"], answer["sentence"]))
		else:
			answered.add(answer["site"])

	python = str(bench.path / "env/bin/python")
	command = [python, "-m", "safe_restart.desk.site_process", verb, ",".join(sites), *words]
	until = time.monotonic() + CALL_SECONDS
	try:
		program = SubprocessRunner(bench, command, OutputLines(hear), {"PYTHONPATH": python_path()})
		_, late = program.follow(lambda: "late" if time.monotonic() > until else None)
	except RestartError as error:
		said, late = [str(error)], None
	why = f"no answer within {CALL_SECONDS} s" if late else said[-1] if said else "it said nothing"
	return objections + [
		Objection(site, verb, f"its apps could not be asked: {why}") for site in sites if site not in answered
	]
