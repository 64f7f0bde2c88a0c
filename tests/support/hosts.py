"""Hosts for the workers of one bench: network namespaces with process trees and host names of their own, as containers have.

A hub in the middle has Redis, and is where the command line runs. Nothing listens on the machine's own network: a bridge
inside the hub joins the hosts. The tests themselves reach Redis by its unix socket.
"""

import json
import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import psutil
import pytest
from redis import Redis

from safe_restart.demo.bench import DemoBench, Workers
from safe_restart.demo.parts import die_with_parent, redis_server
from safe_restart.engine.core import bench as benches
from safe_restart.engine.processes import tree
from safe_restart.engine.processes.classify import WORKERS, is_wrapper, kind_of
from safe_restart.engine.rq.snapshot import Worker

HUB, PORT = "10.77.0.1", 6379
TOOLS = ("ip", "nsenter", "unshare")

# A namespace of each kind that a container has. Its first process says that it is there, and goes on when it is told to.
NAMESPACES = ("--net", "--pid", "--uts", "--mount")
ENTER = [*NAMESPACES, "--fork", "--mount-proc", "--kill-child", "--propagation", "private"]
FIRST = 'echo "$0" > /proc/sys/kernel/hostname; ip link set lo up; echo ready; read go; "$@" & wait; sleep infinity'
# What a restart policy does: start the worker again whenever it ends, as long as the file is there.
RESPAWN = 'n=$1; policy=$2; shift 2; for i in $(seq $n); do while [ -e "$policy" ]; do "$@"; sleep 0.1; done & done; wait'


@cache
def why_not() -> str:
	"""Why no hosts can be had on this machine; empty where they can."""
	if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
		return f"{missing[0]} is not installed"
	bridge = ["ip", "link", "add", "probe", "type", "bridge"]
	tried = subprocess.run(["unshare", *ENTER, *bridge], capture_output=True, text=True)
	return f"no network namespace can be had: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass
class Host:
	"""A set of namespaces; `pid` is that of its first process, as this machine sees it."""

	name: str
	process: subprocess.Popen
	pid: int

	def words(self, *words: str) -> list[str]:
		"""The command, inside."""
		return ["nsenter", "--target", str(self.pid), *NAMESPACES, *words]

	def link(self, *words: str) -> None:
		"""`ip` in the network inside, but with this machine's pids."""
		subprocess.run(["nsenter", "--target", str(self.pid), "--net", "ip", *words], check=True)

	def go(self) -> None:
		self.process.stdin.write("go\n")
		self.process.stdin.flush()

	def kill_all(self) -> None:
		"""Everything that runs there, but for the first process, which holds the namespaces."""
		tree.kill(psutil.Process(self.pid).children(recursive=True))

	def end(self) -> None:
		"""All of it: a process tree ends with its first process."""
		psutil.Process(self.pid).kill()
		self.process.wait()


@dataclass
class Hosts(DemoBench):
	"""A bench in miniature whose workers are out of reach: on `hosts` hosts, with all of `workers` on each."""

	hosts: int = 3
	workers: tuple[Workers, ...] = (Workers(count=1),)
	web: bool = False

	def __post_init__(self):
		super().__post_init__()
		self.queue_url = f"redis://{HUB}:{PORT}"
		self.there: dict[str, Host] = {}

	@property
	def bench(self) -> benches.Bench:
		"""As the tests see it: by Redis's socket, since its address is of another network."""
		found = benches.load(self.path)
		return replace(found, config={**found.config, "redis_queue": f"unix://{self.socket}"})

	@property
	def redis(self) -> Redis:
		return Redis(unix_socket_path=self.socket)

	@property
	def socket(self) -> str:
		return str(self.path / "redis.sock")

	@property
	def all_workers(self) -> int:
		return self.hosts * super().all_workers

	def lives(self, worker: Worker) -> bool:
		"""By the process table of its own host."""
		inside = Path("/proc", str(self.there[worker.hostname].pid), "root")
		return (inside / "proc" / str(worker.pid)).exists()

	def worker_pids(self) -> list[int]:
		"""Of all workers without their work-horses, as this machine sees them."""
		found = []
		for process in (one for host in self.there.values() for one in tree.family(psutil.Process(host.pid))):
			with suppress(psutil.Error):  # jobs come and go
				words, parent = process.cmdline(), process.parent().cmdline()
				if is_wrapper(parent) and not is_wrapper(words) and kind_of(" ".join(words)) == WORKERS:
					found.append(process.pid)
		return found

	@property
	def manager_pids(self) -> set[int]:
		return {host.process.pid for host in self.there.values()}

	def command(self, *words: str, host: str = "hub") -> list[str]:
		return self.there[host].words(*super().command(*words))

	def write_manager(self) -> None:
		path = self.path / "sites/common_site_config.json"
		path.write_text(
			json.dumps(json.loads(path.read_text()) | {"safe_restart": {"process_manager": "containers"}})
		)
		self.let_respawn(True)

	def let_respawn(self, wanted: bool) -> None:
		"""Whether workers that end are started again."""
		policy = self.path / "restart-policy"
		policy.touch() if wanted else policy.unlink()

	def launch(self) -> None:
		config = str(self.path / "config/redis_queue.conf")
		hub = self.enter(
			"hub",
			redis_server(),
			config,
			"--bind",
			HUB,
			"--protected-mode",
			"no",
			"--port",
			str(PORT),
			"--unixsocket",
			self.socket,
		)
		self.supervisord = hub.process
		hub.link("link", "add", "br0", "type", "bridge")
		hub.link("addr", "add", f"{HUB}/24", "dev", "br0")
		hub.link("link", "set", "br0", "up")
		hub.go()
		for number in range(self.hosts):
			self.add_host(number)

	def add_host(self, number: int) -> Host:
		bench, policy = str(self.path / "env/bin/bench"), str(self.path / "restart-policy")
		loops = " & ".join(
			f"sh -c '{RESPAWN}' respawn {one.count} {policy} {bench} worker --queue {one.queues}"
			for one in self.workers
		)
		host = self.enter(f"host-{number}", "sh", "-c", f"{loops} & wait")
		hub = self.there["hub"]
		hub.link(
			"link", "add", f"to-{number}", "type", "veth", "peer", "name", "eth0", "netns", str(host.pid)
		)
		hub.link("link", "set", f"to-{number}", "master", "br0", "up")
		host.link("addr", "add", f"10.77.0.{number + 10}/24", "dev", "eth0")
		host.link("link", "set", "eth0", "up")
		host.go()
		return host

	def enter(self, name: str, *words: str) -> Host:
		process = subprocess.Popen(
			["unshare", *ENTER, "sh", "-euc", FIRST, name, *words],
			env={**os.environ, **self.environment},
			stderr=open(self.path / "logs/hosts.log", "ab"),
			cwd=self.path,
			stdin=subprocess.PIPE,
			stdout=subprocess.PIPE,
			text=True,
			preexec_fn=die_with_parent,
		)
		assert process.stdout.readline() == "ready\n"
		host = self.there[name] = Host(name, process, tree.children(process.pid).pop())
		return host

	def end(self) -> None:
		for host in self.there.values():
			host.end()
		super().end()


def skip_without() -> None:
	if why := why_not():
		pytest.skip(f"no hosts of our own: {why}")
