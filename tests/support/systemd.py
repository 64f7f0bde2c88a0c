"""A real systemd for a bench in miniature, in a cgroup of its own.

A systemd takes every process that it finds at the root of its cgroup tree for its own. So it is started in a cgroup
made for it, whose view of the tree (a cgroup namespace, and a mount that shows nothing else) has that cgroup as its
root; and before it is started it is proved, from inside and from outside, that the root holds the one process that is
to become systemd, and no other.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

from safe_restart.demo.bench import DemoBench
from safe_restart.demo.parts import die_with_parent, redis_server

SYSTEMD = "/lib/systemd/systemd"
START_SECONDS = 20
END_SECONDS = 10

# It moves only itself, into $1, before it sees a cgroup tree at all; `go` comes when what it says has been checked.
ENTER = """\
set -eu
echo $$ > "$1/cgroup.procs"
exec unshare --mount --cgroup --propagation private sh -euc '
	mount -t cgroup2 none /sys/fs/cgroup
	mkdir -p /run/systemd
	mount -t tmpfs none /run/systemd
	mkdir /run/systemd/system
	grep -qx 0::/ /proc/self/cgroup
	echo $$
	read go
	test "$go" = go
	exec "$0" "$@"
' "$2" --user
"""


def why_not() -> str:
	"""Why no systemd can be had on this machine; empty where one can."""
	if not os.path.exists(SYSTEMD) or not shutil.which("systemctl"):
		return "systemd is not installed"
	if not shutil.which("unshare"):
		return "unshare is not installed"
	try:
		cgroup = make_cgroup()
		can_kill = (cgroup / "cgroup.kill").exists()
		cgroup.rmdir()
	except OSError as error:
		return f"no cgroup of its own can be had: {error}"
	return "" if can_kill else "the kernel has no cgroup.kill (5.14), with which a cgroup is ended whole"


def make_cgroup() -> Path:
	mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
	roots = [Path(words[1]) for words in mounts if words[2] == "cgroup2"]
	if not roots:
		raise OSError("no cgroup2 is mounted")
	cgroup = roots[0] / f"safe-restart-test-{uuid.uuid4().hex[:12]}"
	cgroup.mkdir()
	return cgroup


def start(environment: dict[str, str], program: str = SYSTEMD) -> tuple[subprocess.Popen, Path]:
	"""A user's systemd, or another program in its place, in a new cgroup; the proof comes first.

	Fails hard, and starts nothing, where the cgroup holds any process but the one that is to become systemd.
	"""
	cgroup = make_cgroup()
	process = subprocess.Popen(
		["sh", "-c", ENTER, "sh", str(cgroup), program],
		env=environment,
		stdin=subprocess.PIPE,
		stdout=subprocess.PIPE,
		text=True,
		preexec_fn=die_with_parent,
	)
	try:
		said = process.stdout.readline().strip()
		inside = (cgroup / "cgroup.procs").read_text().split()
		seen = Path(f"/proc/{process.pid}/cgroup").read_text().splitlines()[-1]
		assert said == str(process.pid), f"the sandbox could not be entered: {said!r}"
		assert inside == [said], f"the cgroup holds {inside}, not {said} alone: systemd is not started"
		assert seen.startswith("0::") and seen.endswith(f"/{cgroup.name}"), seen
		process.stdin.write("go\n")
		process.stdin.close()
	except BaseException:
		end(process, cgroup)
		raise
	return process, cgroup


def end(process: subprocess.Popen, cgroup: Path) -> None:
	"""Kill all that is in the cgroup, which is systemd with all it started and nothing else, and remove it."""
	(cgroup / "cgroup.kill").write_text("1")
	process.kill()
	process.wait()
	deadline = time.monotonic() + END_SECONDS
	while "populated 1" in (cgroup / "cgroup.events").read_text():
		assert time.monotonic() < deadline, f"{cgroup} does not end"
		time.sleep(0.02)
	for folder, _, _ in os.walk(cgroup, topdown=False):
		os.rmdir(folder)


def is_listening(path: Path) -> bool:
	with socket.socket(socket.AF_UNIX) as client:
		return client.connect_ex(str(path)) == 0


# As `bench setup systemd` writes them (bench/config/templates/systemd)
SERVICE = """\
[Unit]
Description="{title}"
PartOf={bench}-{group}.target

[Service]
User={user}
Group={user}
Restart={restart}
ExecStart={command}
StandardOutput=file:{path}/logs/{log}.log
StandardError=file:{path}/logs/{log}.error.log
WorkingDirectory={directory}
{more}"""
TARGET = """\
[Unit]
After=network.target
{wants}={units}

[Install]
WantedBy=multi-user.target
"""


class SystemdBench(DemoBench):
	"""A bench in miniature whose services are units, as `bench setup systemd` writes them."""

	restart = "always"
	application = "safe_restart.demo.wsgi:application"
	web_more = ""
	cgroup: Path | None = None

	@property
	def runtime(self) -> Path:
		return self.path / "run"

	@property
	def unit_dir(self) -> Path:
		return self.runtime / "config/systemd/user"

	@property
	def address(self) -> dict[str, str]:
		"""What tells systemctl where this systemd is, and this systemd where its units are."""
		return {"XDG_RUNTIME_DIR": str(self.runtime), "XDG_CONFIG_HOME": str(self.runtime / "config")}

	def write_manager(self) -> None:
		self.unit_dir.mkdir(parents=True)
		self.runtime.chmod(0o700)
		(self.path / "config/systemd").mkdir()
		for name, text in self.units().items():
			(self.path / "config/systemd" / name).write_text(text)
			(self.unit_dir / name).symlink_to(self.path / "config/systemd" / name)

	def units(self) -> dict[str, str]:
		"""The text of each unit file, by name."""
		name, texts, groups = self.path.name, {}, {"redis": [], "web": [], "workers": []}
		bench = f"{self.path}/env/bin/bench"

		def add(group: str, label: str, command: str, instances: int = 0) -> None:
			texts[f"{name}-{label}{'@' * bool(instances)}.service"] = SERVICE.format(
				title=f"{name}-{label}{' %I' * bool(instances)}",
				bench=name,
				group=group,
				user="root",
				restart=self.restart,
				command=command,
				path=self.path,
				log="worker" if instances else label,
				directory=self.path if group == "workers" else self.path / "sites",
				more=self.web_more if group == "web" else "",
			)
			numbers = [f"@{number + 1}" for number in range(instances)] or [""]
			groups[group] += [f"{name}-{label}{number}.service" for number in numbers]

		add("redis", "redis-queue", f"{redis_server()} {self.path}/config/redis_queue.conf")
		if self.web:
			gunicorn = f"{sys.executable} -m gunicorn -b 127.0.0.1:{self.web_port} {self.gunicorn_options}"
			add("web", "frappe-web", f"{gunicorn} {self.application}")
		add("workers", "frappe-schedule", f"{bench} schedule")
		for number, workers in enumerate(self.workers):
			label = f"frappe-{workers.queues.replace(',', '-')}-worker{number or ''}"
			add("workers", label, f"{bench} worker --queue {workers.queues}", workers.count)
		for group, units in groups.items():
			texts[f"{name}-{group}.target"] = TARGET.format(wants="Wants", units=" ".join(units))
		targets = " ".join(f"{name}-{group}.target" for group in groups)
		return {**texts, f"{name}.target": TARGET.format(wants="Requires", units=targets)}

	def start_manager(self) -> subprocess.Popen:
		environment = {**os.environ, **self.address, **self.environment}
		environment.pop("DBUS_SESSION_BUS_ADDRESS", None)
		process, self.cgroup = start(environment)
		deadline = time.monotonic() + START_SECONDS
		while not is_listening(self.runtime / "systemd/private"):
			assert process.poll() is None and time.monotonic() < deadline, "systemd did not start"
			time.sleep(0.02)
		return process

	def launch(self) -> None:
		self.supervisord = self.start_manager()
		self.systemctl("start", f"{self.path.name}.target")

	def systemctl(self, *words: str) -> str:
		done = subprocess.run(
			["systemctl", "--user", *words],
			env={**os.environ, **self.address},
			capture_output=True,
			text=True,
			timeout=60,
		)
		assert not done.returncode, done.stderr
		return done.stdout

	def unit(self, label: str) -> str:
		"""The full name of a unit, such as `frappe-web`."""
		return f"{self.path.name}-{label}.service"

	def end(self) -> None:
		if self.cgroup:
			end(self.supervisord, self.cgroup)
			self.cgroup = None
		super().end()
