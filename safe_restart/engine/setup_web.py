"""`setup web`: write the change of web_config.py and have supervisor load it, or put all back as it was.

Loading stops and starts the web's group once, in supervisor's way; no other group is touched.
"""

import os
import time
import xmlrpc.client
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from . import managers, web
from .bench import Bench
from .errors import Blocked, Refused, RestartError
from .fleet import LOOK_SECONDS
from .journal import Journal
from .lock import Lock
from .managers import WEB, Service
from .managers.supervisor import Supervisor
from .swap import KEEPER, keeper_of, told_by
from .web_config import BACKUP_SUFFIX, CONFIG, Change, config_path, keeper_path, keeper_text
from .workers import START_TIMEOUT_SECONDS


def web_service(bench: Bench) -> tuple[Supervisor, Service]:
	"""The web as supervisor runs it now. Raises Refused where it is not supervisor's, or there is not exactly one."""
	manager = managers.detect(bench)
	if not isinstance(manager, Supervisor):
		raise Refused(
			f"setup web is for supervisor only so far, and {manager.name} runs this bench. Nothing was touched."
		)
	found = [service for service in manager.services() if service.kind == WEB]
	if len(found) != 1:
		raise Refused(
			f"supervisor runs {len(found)} web programs of {bench.path}, not one. Nothing was touched. Should it be missing, "
			"type `supervisorctl update` first."
		)
	return manager, found[0]


def is_in_force(bench: Bench, wanted: bool) -> bool:
	"""Whether supervisor runs the web with the keeper, or without, as it is wanted. Raises Refused as web_service."""
	return (keeper_of(web_service(bench)[1].command) is not None) == wanted


def apply(bench: Bench, change: Change, wanted: bool, note: Callable[[str], None]) -> None:
	"""Write the change and load it; `wanted` is True for the keeper and False for undoing it.

	Raises Blocked while a restart runs, Refused where supervisor does not read this file, RestartError where the web did
	not come back; then all was put back as it was before.
	"""
	Journal(bench)  # makes the folder of the lock
	lock = Lock(bench)
	if not lock.take():
		raise Blocked("A restart of this bench is running. Nothing was touched. Try again when it is over.")
	try:
		manager, service = web_service(bench)
		answered = [site for site, health in web.health(bench).items() if health.is_ok]
		try:
			write_files(bench, change, wanted)
		except OSError as error:
			raise Refused(
				f"{error.filename} cannot be written ({error.strerror}). Nothing was loaded. Run this as the bench's owner."
			) from None
		load(bench, manager, service, change, answered, wanted, note)
	finally:
		lock.release()
	if not wanted:
		remove_keeper(bench)


def write_files(bench: Bench, change: Change, wanted: bool) -> None:
	like = change.path.stat()
	if wanted:
		write(keeper_path(bench), keeper_text(), like)
		if change.before != change.after:
			write(Path(f"{change.path}{BACKUP_SUFFIX}"), change.before, like)
	write(change.path, change.after, like)


def write(path: Path, text: str, like: os.stat_result) -> None:
	"""Written whole or not at all, with owner and mode of another file."""
	new = path.with_name(f".{path.name}.new")
	new.write_text(text)
	new.chmod(like.st_mode & 0o777)
	with suppress(PermissionError):
		os.chown(new, like.st_uid, like.st_gid)
	os.replace(new, path)


def load(
	bench: Bench,
	manager: Supervisor,
	service: Service,
	change: Change,
	answered: list[str],
	wanted: bool,
	note: Callable[[str], None],
) -> None:
	group = service.name.partition(":")[0]
	try:
		changed = reread(manager)
	except xmlrpc.client.Fault as fault:
		put_back(bench, change)
		raise Refused(
			f"supervisor cannot read its configuration: {fault.faultString}. {CONFIG} is as it was; nothing was restarted. "
			"Mend that and try again."
		) from None
	if group not in changed:
		put_back(bench, change)
		raise Refused(
			f"supervisor does not read {change.path}: it runs {group} from another file. That file is as it was, and "
			"nothing was restarted. Link it into supervisor's folder, as `bench setup production` does."
		)
	if others := sorted(changed - {group}):
		note(
			f"supervisor's files have changes for {', '.join(others)} too; those were left for `supervisorctl update`"
		)
	load_group(manager, group)
	if problem := what_is_missing(bench, answered, wanted):
		put_back(bench, change)
		reread(manager)
		load_group(manager, group)
		missing = what_is_missing(bench, answered, not wanted)
		raise RestartError(
			f"{problem} {CONFIG} was put back and the web started as before"
			+ (f", but: {missing}" if missing else ", and works.")
			+ " See `safe-restart logs web`."
		)


def put_back(bench: Bench, change: Change) -> None:
	write(change.path, change.before, change.path.stat())
	if KEEPER not in change.before:
		remove_keeper(bench)


def reread(manager: Supervisor) -> set[str]:
	"""The groups that differ on disk from what runs."""
	[[added, changed, _]] = manager.call("reloadConfig")
	return {*added, *changed}


def load_group(manager: Supervisor, group: str) -> None:
	"""What `supervisorctl update` does, for one group. A group that was stopped is started again whatever happens, with
	what a person had started in it."""
	by_hand = [
		s for s in manager.services() if s.name.startswith(f"{group}:") and s.pid and not s.starts_itself
	]
	manager.call("stopProcessGroup", group, False)
	try:
		wait_stopped(manager, group)
	except BaseException:
		manager.call("startProcessGroup", group, False)
		raise
	try:
		manager.call("removeProcessGroup", group)
	finally:
		manager.call("addProcessGroup", group)
	for service in by_hand:
		manager.start(service)


def wait_stopped(manager: Supervisor, group: str) -> None:
	"""Until nothing of the group runs; supervisor itself kills what outlasts its grace."""
	while any(
		info["pid"] or info["statename"] == "STOPPING"
		for info in manager.call("getAllProcessInfo")
		if info["group"] == group
	):
		time.sleep(LOOK_SECONDS)


def what_is_missing(bench: Bench, answered: list[str], wanted: bool) -> str:
	"""A sentence for what is not right within START_TIMEOUT_SECONDS; empty as soon as all is."""
	deadline = time.monotonic() + START_TIMEOUT_SECONDS
	while True:
		_, service = web_service(bench)
		silent = [site for site in answered if not web.ask(bench, site).is_ok]
		keeper = keeper_of(service.command)
		is_as_wanted = (keeper is not None) == wanted
		tells = not keeper or told_by(keeper.with_suffix(".json")).get("pid") == service.pid
		if service.state == "running" and not silent and is_as_wanted and tells:
			return ""
		if service.state == "failed" or time.monotonic() > deadline:
			sites = f"; {', '.join(silent)} did not answer 200, as before" if silent else ""
			dumb = "" if tells else f"; its keeper cannot write into {keeper.parent}"
			return f"The web did not come back as it should ({service.name} is {service.state}{sites}{dumb})."
		time.sleep(LOOK_SECONDS)


def is_refreshed(bench: Bench) -> bool:
	"""Whether the keeper's file was older than ours and is now the same."""
	path = keeper_path(bench)
	if path.exists() and path.read_text() == keeper_text():
		return False
	write(path, keeper_text(), config_path(bench).stat())
	return True


def remove_keeper(bench: Bench) -> None:
	"""Leave nothing behind; the backup stays where it differs from what is there now."""
	config = config_path(bench)
	backup = Path(f"{config}{BACKUP_SUFFIX}")
	if backup.exists() and backup.read_text() == config.read_text():
		backup.unlink()
	for path in (keeper_path(bench), keeper_path(bench).with_suffix(".json")):
		path.unlink(missing_ok=True)
