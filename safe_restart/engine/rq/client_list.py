"""Connections to Redis: as Redis lists them, and as the sockets of processes."""

from collections.abc import Mapping
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Client:
	"""A connection as Redis lists it (redis.io/commands/client-list). `is_blocked` is true while a command waits."""

	id: int
	name: str
	address: str
	port: int
	is_blocked: bool
	command: str

	@property
	def waits_for_a_job(self) -> bool:
		"""Whether it waits in one of the commands with which a worker of RQ takes a job."""
		return self.is_blocked and self.command in ("blpop", "blmove", "brpoplpush")


def read_client(fields: Mapping[str, str]) -> Client:
	"""A client from the fields of its line in CLIENT LIST, as redis-py returns them."""
	address, port = port_key(fields["addr"])
	# Flag b: "the client is waiting in a blocking operation"
	is_blocked = "b" in fields["flags"]
	return Client(int(fields["id"]), fields.get("name", ""), address, port, is_blocked, fields.get("cmd", ""))


def local_addresses(process: psutil.Process) -> list[tuple[str, int]]:
	"""IP address and port of the process's own end of each TCP connection; none where they cannot be read."""
	try:
		connections = (
			process.net_connections("tcp")
			if hasattr(process, "net_connections")
			else process.connections("tcp")
		)
	except Exception:  # psutil has errors of its own for a process that has ended or is another user's
		return []
	return [(plain_ip(c.laddr.ip), c.laddr.port) for c in connections if c.raddr]


def port_key(address: str) -> tuple[str, int]:
	"""IP address and port of `address`, such as `10.0.0.7:5321` or `[::1]:5321`; port 0 where it is no number."""
	host, _, port = address.rpartition(":")
	return plain_ip(host), int(port) if port.isdecimal() else 0


def plain_ip(host: str) -> str:
	"""An IP address without brackets, and an IPv4 address mapped into IPv6 as IPv4."""
	return host.strip("[]").removeprefix("::ffff:")
