"""`setup web`: write the change that puts the keeper in front of gunicorn and load it, or put all back as it was.

Loading restarts the web once, in the way of its process manager.
"""

from collections.abc import Callable
from contextlib import suppress

from ..core.bench import Bench
from ..core.errors import Blocked, Refused, RestartError, Unreachable
from ..core.files import write_atomically
from ..core.waiting import wait_until
from ..managers import detect
from ..managers.base import START_TIMEOUT_SECONDS, ProcessManager, Service
from ..processes.classify import WEB
from ..state.journal import Journal
from ..state.locks import BenchLock
from . import health as web_health
from .keeper import KEEPER, keeper_in, keeper_of, read_status
from .keeper_change import COMMAND, Change, Setup, keeper_path, keeper_text, web_of
from .keeper_supervisor import SupervisorSetup
from .keeper_systemd import SystemdSetup

SETUPS: dict[str, type[Setup]] = {"supervisor": SupervisorSetup, "systemd": SystemdSetup}
FIX = f"`safe-restart {COMMAND}`"


def setup_of(bench: Bench) -> Setup:
	"""The setup for the bench's process manager. Raises Refused where none is found, or one that has no setup."""
	manager = detect.find_manager(bench)
	if manager.name not in SETUPS:
		raise Refused(
			f"setup web is for {' and '.join(SETUPS)}, and {manager.name} runs this bench. Nothing was touched. A "
			"restart works as before, and the web does not answer while it boots."
		)
	return SETUPS[manager.name](bench, manager)


def is_in_force(setup: Setup, wanted: bool) -> bool:
	"""Whether the web runs with the keeper (`wanted`), or without. Raises Refused as web_of does."""
	return (keeper_in(web_of(setup.manager)) is not None) == wanted


def apply(setup: Setup, change: Change, wanted: bool, note: Callable[[str], None]) -> None:
	"""Write the change and load it.

	wanted: True to have the keeper, False to have it no longer
	Raises Blocked while a restart runs, Refused where the manager does not accept the change, and RestartError where the
	web did not come back; then all is as it was before.
	"""
	Journal(setup.bench)  # makes the folder of the lock
	lock = BenchLock(setup.bench)
	if not lock.take():
		raise Blocked("A restart of this bench is running. Nothing was touched. Try again when it is over.")
	try:
		service = web_of(setup.manager)
		answered = [site for site, health in web_health.health(setup.bench).items() if health.is_ok]
		write_files(setup, change, wanted, note)
		load(setup, service, change, answered, wanted)
	finally:
		lock.release()
	if not wanted:
		remove_keeper(setup)


def write_files(setup: Setup, change: Change, wanted: bool, note: Callable[[str], None]) -> None:
	try:
		if wanted:
			write_keeper(setup.bench)
		setup.write(change, note)
	except OSError as error:
		leave_as_before(setup, change)
		raise Refused(
			f"{error.filename} cannot be written ({error.strerror}). Nothing was loaded. Run this as the bench's owner."
		) from None
	except RestartError:
		leave_as_before(setup, change)
		raise


def write_keeper(bench: Bench) -> None:
	"""Copy the keeper into the bench's config folder."""
	write_atomically(keeper_path(bench), keeper_text(), like=bench.sites_path / "common_site_config.json")


def load(setup: Setup, service: Service, change: Change, answered: list[str], wanted: bool) -> None:
	"""Restart the web with the change that was written. Raises RestartError where the web does not come back as it should;
	the change is then put back."""
	try:
		setup.restart(service)
		problem = what_is_missing(setup, service, answered, wanted)
	except RestartError as error:
		problem = str(error)
	if problem:
		setup.put_back(change)
		service = web_of(setup.manager)
		setup.restart(service)
		missing = what_is_missing(setup, service, answered, KEEPER in change.before)
		leave_as_before(setup, change)
		raise RestartError(
			f"{problem} {change.path} was put back and the web started as before"
			+ (f", but: {missing}" if missing else ", and works.")
			+ " See `safe-restart logs web`."
		)


def what_is_missing(setup: Setup, before: Service, answered: list[str], wanted: bool) -> str:
	"""Wait until the web is back in a new process and works as before; empty once it is, else a sentence on what is wrong.

	answered: the sites that answered 200 before
	"""
	service, problem = before, ""

	def is_decided() -> bool:
		nonlocal service, problem
		with suppress(Unreachable):
			service = web_of(setup.manager)
		problem = describe_problem(setup.bench, service, before, answered, wanted)
		return not problem or service.state == "failed"

	wait_until(is_decided, START_TIMEOUT_SECONDS)
	return problem


def describe_problem(
	bench: Bench, service: Service, before: Service, answered: list[str], wanted: bool
) -> str:
	"""A sentence on what is wrong with the web as it is now; empty where all is right."""
	keeper = keeper_in(service)
	is_new = service.state == "running" and service.pid != before.pid and (keeper is not None) == wanted
	silent = [site for site in answered if not web_health.ask(bench, site).is_ok]
	is_mute = keeper and read_status(keeper.with_suffix(".json")).get("pid") != service.pid
	if is_new and not silent and not is_mute:
		return ""
	sites = f"; no longer answering 200: {', '.join(silent)}" if silent else ""
	mute = f"; its keeper cannot write into {keeper.parent}" if keeper and is_mute else ""
	return f"The web did not come back as it should ({service.name} is {service.state}{sites}{mute})."


def leave_as_before(setup: Setup, change: Change) -> None:
	"""Remove the keeper where the bench had none before the change."""
	if KEEPER not in change.before:
		remove_keeper(setup)


def remove_keeper(setup: Setup) -> None:
	"""Remove the files of the keeper, and what was kept for putting the change back."""
	setup.tidy()
	path = keeper_path(setup.bench)
	for file in (path, path.with_suffix(".json")):
		file.unlink(missing_ok=True)


def is_refreshed(bench: Bench) -> bool:
	"""Bring the bench's copy of the keeper up to date; True where it was not."""
	path = keeper_path(bench)
	if path.exists() and path.read_text() == keeper_text():
		return False
	write_keeper(bench)
	return True


def what_is_lost(bench: Bench, manager: ProcessManager, services: list[Service]) -> str:
	"""Say why the keeper that `setup web` installed is not in force, in a sentence without a full stop; empty where it is,
	or where there is none. FIX is what to type."""
	web_services = [service for service in services if service.kind == WEB]
	if not keeper_path(bench).exists() or manager.name not in SETUPS or len(web_services) != 1:
		return ""
	setup, service = SETUPS[manager.name](bench, manager), web_services[0]
	runs = keeper_of(service.command) and keeper_in(service)
	gone = setup.what_is_gone(service)
	if runs and gone:
		return f"{gone}, so the next restart by {manager.name} itself starts the web without the keeper"
	if runs:
		return setup.what_is_outdated(service)
	why = gone or f"{manager.name} has not loaded it"
	return (
		f"`{COMMAND}` was done here and is not in force, since {why}: the web does not answer while it boots"
	)
