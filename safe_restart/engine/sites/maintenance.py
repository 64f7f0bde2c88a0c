"""Maintenance mode: turned on, and later set back to exactly what it was.

The caller writes what `read_prior` returns into the journal before it calls `turn_on`; from then on `restore` can bring
it back, also in another process.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..core.bench import Bench
from ..core.errors import Refused, RestartError
from ..core.files import FileLock, give_to_owner, write_atomically
from ..core.waiting import FAST_LOOK_INTERVAL_SECONDS, wait_until

Config = dict[str, Any]

KEYS = ("maintenance_mode", "pause_scheduler")
ON = 1
ABSENT = object()
LOCK_TIMEOUT_SECONDS = 30  # as frappe.utils.synchronization.filelock waits
HALF_WRITTEN_SECONDS = 1  # Frappe and bench write the file in place, so it is empty for an instant


def read_prior(bench: Bench, sites: Sequence[str]) -> dict[str, Config]:
	"""What each site has for both keys now, ready for the journal; a key that is absent there is absent here.

	Raises Refused where the configuration of a site cannot be read.

	What counts is each site's own site_config.json: Frappe reads common_site_config.json first and updates that with the
	site's file (frappe.get_site_config in 15, frappe.config.get_site_config in 16), so a 0 there wins over a 1 in the
	common file. `bench set-maintenance-mode` and `scheduler pause` write the site's file too. Web processes of 16 notice
	a change up to 60 s later.
	"""
	prior = {}
	for site in sites:
		try:
			config = read_config(bench.sites_path / site / "site_config.json")
		except (OSError, ValueError) as error:
			raise Refused(
				f"The configuration of site {site} cannot be read ({error}). Nothing was touched. "
				f"Correct sites/{site}/site_config.json, or run this as the bench's owner, and try again."
			) from None
		prior[site] = {key: config[key] for key in KEYS if key in config}
	return prior


def turn_on(bench: Bench, prior: dict[str, Config]) -> None:
	"""Put each site of `prior` into maintenance mode and pause its scheduler.

	Raises RestartError at the first site that cannot be; those before it are then in maintenance until `restore`.
	"""
	for site in prior:
		try:
			change_config(bench, site, lambda config: config.update(dict.fromkeys(KEYS, ON)))
		except (OSError, ValueError) as error:
			raise RestartError(
				f"Site {site} could not be put into maintenance mode ({error}). Its site_config.json is as it was and no "
				"site was migrated. Remove the cause and try again."
			) from None


def restore(bench: Bench, prior: dict[str, Config]) -> list[str]:
	"""Write the prior values back where those of `turn_on` still stand; a sentence for each value that was changed since.

	Twice is the same as once. Raises RestartError with the sites that could not be restored, after all others were.
	"""
	notes, failures = [], []
	for site, before in prior.items():
		try:
			notes += restore_site(bench, site, before)
		except FileNotFoundError:
			notes.append(f"site {site} has no site_config.json any more, so there was nothing to restore")
		except (OSError, ValueError) as error:
			failures.append(f"{site} (to be {json.dumps(before)}): {error}")
	if failures:
		raise RestartError(
			f"These sites may still be in maintenance mode: {'; '.join(failures)}. All other sites were restored. Remove "
			"the cause, then take them out of it with `bench --site SITE set-maintenance-mode off` and "
			"`bench --site SITE scheduler resume`."
		)
	return notes


def restore_site(bench: Bench, site: str, before: Config) -> list[str]:
	"""Restore one site as `restore` says. Raises OSError and ValueError."""
	notes: list[str] = []

	def put_back(config: Config) -> None:
		for key in KEYS:
			now, then = config.get(key, ABSENT), before.get(key, ABSENT)
			if now == ON and then is ABSENT:
				del config[key]
			elif now == ON:
				config[key] = then
			elif now != then:
				notes.append(
					f"{key} of site {site} was left {as_text(now)}, as somebody set it meanwhile; before it was {as_text(then)}"
				)

	change_config(bench, site, put_back)
	return notes


def as_text(value: object) -> str:
	return "absent" if value is ABSENT else json.dumps(value)


def change_config(bench: Bench, site: str, change: Callable[[Config], None]) -> None:
	"""Let `change` edit the site's configuration as it is now, and write it if that made a difference.

	Raises OSError and ValueError; the file is then as it was.
	"""
	folder = bench.sites_path / site
	with config_lock(folder):
		config = read_config(folder / "site_config.json")
		old = dict(config)
		change(config)
		if config != old:
			write_config(folder / "site_config.json", config)


@contextmanager
def config_lock(folder: Path) -> Iterator[None]:
	"""Hold Frappe's own lock on the site_config.json in `folder`. Raises TimeoutError after LOCK_TIMEOUT_SECONDS.

	frappe.installer.update_site_config (15 and 16) holds `locks/site_config.lock` by the package filelock: flock(2) on a
	file that stays. The kernel frees the lock when its holder dies.
	"""
	lock = FileLock(folder / "locks" / "site_config.lock", mode=0o644)
	# Sooner than the package filelock, which tries each 0.05 s
	if not wait_until(lambda: take_lock(lock, folder), LOCK_TIMEOUT_SECONDS, FAST_LOOK_INTERVAL_SECONDS):
		raise TimeoutError(f"another process has held {lock.path} for {LOCK_TIMEOUT_SECONDS} s")
	try:
		yield
	finally:
		lock.release()


def take_lock(lock: FileLock, site_folder: Path) -> bool:
	"""Take the lock, or return False where another process holds it. A folder and file that are made for it belong to the
	owner of the site."""
	made = [path for path in (lock.path.parent, lock.path) if not path.exists()]
	lock.path.parent.mkdir(exist_ok=True)  # not its parents: a site that was dropped does not come back
	is_ours = lock.take()
	for path in made:
		give_to_owner(path, site_folder)
	return is_ours


def read_config(path: Path) -> Config:
	"""The JSON object in a configuration file. Raises OSError, and ValueError where there is none."""
	deadline = time.monotonic() + HALF_WRITTEN_SECONDS
	while True:
		try:
			config = json.loads(path.read_bytes())
			break
		except ValueError:
			if time.monotonic() > deadline:
				raise
			time.sleep(0.01)
	if not isinstance(config, dict):
		raise ValueError(f"{path} must hold a JSON object")
	return config


def write_config(path: Path, config: Config) -> None:
	"""Replace the file in one go, formatted as Frappe does, with the mode and owner it has. Raises OSError."""
	write_atomically(path, json.dumps(config, indent=1, sort_keys=True))
