"""Does what the helper needs from Frappe, in a process of its own, since the helper never imports Frappe.

    python -m safe_restart.desk.site_process VERB SITE[,SITE…] [WORD…]

runs in `sites/` and prints a line of JSON for each objection and one at the end of each site, among all that
apps print. engine/sites/app_hooks.py reads these lines. Verbs: blockers, before REQUEST, after REQUEST
STATUS, sync.
"""

import json
import sys
from collections.abc import Callable

import frappe

from ..engine.sites.app_hooks import ANSWER
from . import hook_runner

SENTENCE_LENGTH = 1000  # a line is cut at 4000 bytes (engine/processes/subprocess_runner.py)


def sync() -> list[dict]:
	"""Bring the documents of this site up to date, where the app is installed."""
	if "safe_restart" in frappe.get_installed_apps():
		from . import journal_sync

		journal_sync.sync()
	return []


VERBS: dict[str, Callable[..., list[dict]]] = {
	"blockers": hook_runner.ask_blockers,
	"before": hook_runner.run_before,
	"after": hook_runner.run_after,
	"sync": sync,
}


def main(verb: str, sites: str, *words: str) -> None:
	"""Do this on each of these sites, whose names are separated by commas."""
	for site in sites.split(","):
		frappe.init(site=site, sites_path=".")
		try:
			frappe.connect()
			for objection in VERBS[verb](*words):
				sentence = str(objection["sentence"])[:SENTENCE_LENGTH]
				say({"site": site, "by": objection["by"], "sentence": sentence})
			frappe.db.commit()  # nothing commits outside a web request
			say({"site": site})
		except Exception as error:
			print(f"{type(error).__name__}: {error}", flush=True)
		finally:
			frappe.destroy()


def say(answer: dict) -> None:
	print(ANSWER + json.dumps(answer), flush=True)


if __name__ == "__main__":
	main(*sys.argv[1:])
