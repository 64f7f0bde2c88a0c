"""Which process a registration belongs to, and whether its worker lives: decided by what shows it, never by what is missing.

A host name is no identity: a machine may have been renamed since its workers started, and two machines or containers may
share one. A pid is none either where it was registered in another pid namespace. What shows that a worker is the process
here is its own connection to Redis. What shows that a worker lives, though no process can be seen, is a connection that RQ
named after it (`client_setname` in rq's worker, 1.15 to 3.0) or a heartbeat that moves.
"""

import time
from collections.abc import Callable, Container
from contextlib import suppress

import psutil

from ..processes import tree
from ..rq.client_list import Client, local_addresses, port_key
from ..rq.snapshot import Births, Worker
from . import identity

# RQ's worker registers once it has booted: on a cold disk a Frappe needs half a minute for that.
BOOT_SECONDS = 120
GOODBYE_SECONDS = 0.2


class Presence:
	"""What is known of the workers of one bench, from one snapshot to the next.

	read_clients: the connections that Redis has now; none where it does not tell. Asked only where it makes a difference.
	"""

	def __init__(self, read_clients: Callable[[], list[Client]]):
		self.read_clients = read_clients
		self.clients: list[Client] | None = None
		self.has_waited = False
		self.processes: dict[str, psutil.Process] = {}  # by the worker's name, as they were found
		self.first_heartbeat: dict[str, str] = {}

	def begin_snapshot(self) -> None:
		"""Forget the connections, which are those of the last one."""
		self.clients = None
		self.has_waited = False

	def process_of(self, worker: Worker, newest: Births, managed: Container[int]) -> psutil.Process | None:
		"""The living process of this worker, where it is on this machine and shown to be this worker's.

		managed: the pids of the manager's programs
		"""
		if worker.name in self.processes:
			return self.known_process(worker)
		process = self.find_process(worker, newest, managed)
		if process:
			self.processes[worker.name] = process
		return process

	def find_process(self, worker: Worker, newest: Births, managed: Container[int]) -> psutil.Process | None:
		is_local = identity.is_local(worker)
		if is_local and worker.birth != newest[worker.hostname, worker.pid]:
			return None
		process = identity.of_worker(worker) if is_local else tree.get(worker.pid)
		if process is None:
			return None
		is_managed = any(pid in managed for pid in tree.ancestors(process))
		if not (is_local or is_managed):
			return None
		# The host name with the manager or the command is enough; any less has to be shown by the worker's own connection.
		if is_local and (is_managed or identity.has_command_of(process, worker)):
			return process
		return process if self.is_shown(worker, process) else None

	def is_shown(self, worker: Worker, process: psutil.Process) -> bool:
		"""Whether this process is that worker, by a connection to Redis that both have; where Redis does not tell its
		connections, by the time at which the process started."""
		clients = self.known_clients()
		if not clients:
			return is_plausible(worker, process)
		sockets = {address for one in tree.family(process) for address in local_addresses(one)}
		named = {(client.address, client.port) for client in clients if client.name == worker.name}
		return bool(sockets & (named | {port_key(worker.ip_address)}))

	def lives_unseen(self, worker: Worker) -> bool:
		"""Whether a worker without a process here lives all the same: in another pid namespace, or another user's."""
		first = self.first_heartbeat.setdefault(worker.name, worker.last_heartbeat)
		if worker.name in self.processes:
			return False  # its process was seen, and has ended
		return worker.last_heartbeat != first or self.has_connection_elsewhere(worker)

	def has_connection_elsewhere(self, worker: Worker) -> bool:
		"""Whether a connection of this worker's name is held by the worker itself, seen or not. A work-horse inherits the
		connection and keeps it open when its worker was killed, so one that only others hold shows nothing."""
		if not self.is_connection_held(worker):
			return False
		if self.has_waited:
			return True
		# Redis may not have heard yet that a worker which was killed just now has gone; one wait serves all of a snapshot.
		time.sleep(GOODBYE_SECONDS)
		self.has_waited = True
		self.clients = None
		return self.is_connection_held(worker)

	def is_connection_held(self, worker: Worker) -> bool:
		named = [client for client in self.known_clients() if client.name == worker.name]
		return any(is_held_by(worker, (client.address, client.port)) for client in named)

	def known_process(self, worker: Worker) -> psutil.Process | None:
		"""The process of a worker that was found before; None where it has ended."""
		known = self.processes.get(worker.name)
		return known if known and tree.is_alive(known) else None

	def is_ours_and_ended(self, worker: Worker) -> bool:
		"""Whether its process was seen here before and has ended, whatever host name it registered with."""
		return worker.name in self.processes and self.known_process(worker) is None

	def known_clients(self) -> list[Client]:
		if self.clients is None:
			self.clients = self.read_clients()
		return self.clients


def is_held_by(worker: Worker, address: tuple[str, int]) -> bool:
	"""Whether the near end of a connection belongs to a process with the worker's pid in a namespace of its own, or to one
	that cannot be seen."""
	holders = [process for process in psutil.process_iter() if address in local_addresses(process)]
	return not holders or any(tree.innermost_pid(process) == worker.pid for process in holders)


def is_plausible(worker: Worker, process: psutil.Process) -> bool:
	"""Whether it is a worker that started shortly before the registration."""
	if not worker.birth or not identity.has_command_of(process, worker):
		return False
	with suppress(*tree.VANISHED):
		age = worker.birth.timestamp() - process.create_time()
		return -identity.CLOCK_SLACK_SECONDS <= age <= BOOT_SECONDS
	return False
