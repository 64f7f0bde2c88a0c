"""What the bench's apps say about restarts: hooks.py is read here, and their functions run in a process with Frappe.

hooks.py is read and not imported, since an app that no longer imports may be the reason for the restart.
"""

import ast
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from ..core.bench import Bench
from ..core.environment import python_path
from ..core.errors import RestartError
from ..processes.subprocess_runner import OutputLines, SubprocessRunner
from .visibility import is_site_allowed

POLICY = "safe_restart_job_policy"
BLOCKERS = "safe_restart_blockers"
BEFORE, AFTER = "before_safe_restart", "after_safe_restart"

# desk/hook_runner.py gives each function 30 s; this is for all of them on all sites, and for loading Frappe.
CALL_SECONDS = 180
ANSWER = "safe_restart:"  # what each line of an answer begins with, unlike the lines that apps print


@dataclass(frozen=True)
class Objection:
	"""Why one app's function on one site objects, or why it could not be asked."""

	site: str
	by: str
	sentence: str

	def __str__(self) -> str:
		return f"{self.sentence.rstrip('.')} ({self.by}, {self.site})"


def declares(bench: Bench, hook: str) -> bool:
	"""Whether an app of this bench has this hook."""
	return any(True for _ in assigned(bench, hook))


def job_policies(bench: Bench) -> dict[object, object]:
	"""The dictionaries that apps assign to POLICY, merged; what is no literal dictionary is left out."""
	found: dict[object, object] = {}
	for node in assigned(bench, POLICY):
		with suppress(ValueError, TypeError):
			value = ast.literal_eval(node)
			found |= value if isinstance(value, dict) else {}
	return found


def assigned(bench: Bench, name: str) -> Iterator[ast.expr]:
	"""What hooks.py of each app assigns to this name, as syntax trees."""
	for path in sorted(bench.path.glob("apps/*/*/hooks.py")):
		try:
			text = path.read_text()
			# Most apps do not have it, and a search is quicker than parsing.
			tree = ast.parse(text if name in text else "")
		except (OSError, SyntaxError, ValueError):
			continue
		for node in tree.body:
			if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == name for t in node.targets):
				yield node.value


def objections(bench: Bench) -> list[Objection]:
	"""Ask the apps what they have against a restart now; Frappe is not even loaded where no app has the hook."""
	return call(bench, "blockers", bench.sites) if declares(bench, BLOCKERS) else []


def bring_sites_up_to_date(bench: Bench) -> list[Objection]:
	"""Let the sites that may ask for restarts copy the journal into their DocTypes; returns what went wrong."""
	apps = bench.sites_path / "apps.txt"
	has_app = apps.is_file() and "safe_restart" in apps.read_text().split()
	sites = [site for site in bench.sites if is_site_allowed(bench, site)]
	return call(bench, "sync", tuple(sites)) if has_app and sites else []


def call(bench: Bench, verb: str, sites: tuple[str, ...], *words: str) -> list[Objection]:
	"""Run `verb` of desk/site_process.py on these sites, in a process with Frappe; returns what they object to.

	words: further arguments of the verb
	The process prints a line of JSON for each objection, {"site", "by", "sentence"}, and {"site"} at the end of a site.
	Where a site's end does not come, that counts as an objection: what its apps would have said is unknown.
	"""
	objections: list[Objection] = []
	answered: set[str] = set()
	output: list[str] = []

	def read_line(line: str) -> None:
		if not line.startswith(ANSWER):
			output.append(line)
			return
		answer = json.loads(line.removeprefix(ANSWER))
		if "sentence" in answer:
			objections.append(Objection(answer["site"], answer["by"], answer["sentence"]))
		else:
			answered.add(answer["site"])

	python = str(bench.path / "env/bin/python")
	command = [python, "-m", "safe_restart.desk.site_process", verb, ",".join(sites), *words]
	deadline = time.monotonic() + CALL_SECONDS
	try:
		program = SubprocessRunner(bench, command, OutputLines(read_line), {"PYTHONPATH": python_path()})
		_, why_ended = program.follow(lambda: "late" if time.monotonic() > deadline else None)
	except RestartError as error:
		output, why_ended = [str(error)], None
	last_line = output[-1] if output else "the process printed nothing"
	why = f"no answer within {CALL_SECONDS} s" if why_ended else last_line
	return objections + [
		Objection(site, verb, f"its apps could not be asked: {why}") for site in sites if site not in answered
	]
