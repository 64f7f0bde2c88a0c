"""Who is connected to Redis, by its CLIENT LIST and by the sockets of processes."""

from collections.abc import Mapping
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Client:
	"""A connection as Redis sees it (redis.io/commands/client-list)."""

	id: int
	name: str
	address: str
	port: int
	is_blocked: bool
	command: str

	@property
	def waits_for_a_job(self) -> bool:
		return self.is_blocked and self.command in ("blpop", "blmove", "brpoplpush")


def read_client(fields: Mapping[str, str]) -> Client:
	address, port = port_key(fields["addr"])
	# Flag b: "the client is waiting in a blocking operation"
	is_blocked = "b" in fields["flags"]
	return Client(int(fields["id"]), fields.get("name", ""), address, port, is_blocked, fields.get("cmd", ""))


def local_addresses(process: psutil.Process) -> list[tuple[str, int]]:
	try:
		connections = (
			process.net_connections("tcp")
			if hasattr(process, "net_connections")
			else process.connections("tcp")
		)
	except Exception:  # psutil raises its own errors for a process that is gone or is somebody else's
		return []
	return [(plain_ip(c.laddr.ip), c.laddr.port) for c in connections if c.raddr]


def port_key(address: str) -> tuple[str, int]:
	host, _, port = address.rpartition(":")
	return plain_ip(host), int(port) if port.isdecimal() else 0


def plain_ip(host: str) -> str:
	return host.strip("[]").removeprefix("::ffff:")
