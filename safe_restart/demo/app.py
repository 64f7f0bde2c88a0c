"""What runs inside the miniature bench instead of Frappe: jobs, workers and scheduler. Its web is wsgi.py.

Its commands are called like bench's own (`bench worker --queue short,default`, gunicorn `…:application`), so
that the engine finds them by the same rules. SAFE_RESTART_DEMO_BOOT is the time in seconds that a process
takes from its start until it is ready; on a real bench that is the import of Frappe.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

BOOT_SECONDS = float(os.environ.get("SAFE_RESTART_DEMO_BOOT", "1"))
SITE = "demo.localhost"
LOOK_SECONDS = 0.05  # how soon a job ends that is ended early


def bench_path() -> Path:
	return Path(os.environ["SAFE_RESTART_DEMO_BENCH"])


def config() -> dict:
	return json.loads((bench_path() / "sites" / "common_site_config.json").read_text(encoding="utf-8"))


def boot() -> None:
	"""Sleep for what is left of the boot time after the imports."""
	started_ticks = int(
		Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
	)  # proc(5): field 22
	age = time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / os.sysconf("SC_CLK_TCK")
	time.sleep(max(0, BOOT_SECONDS - age))


def execute_job(site: str, method: str, **kwargs: Any) -> None:
	"""Run a method as frappe.utils.background_jobs.execute_job does, so that the description of a job reads
	the same."""
	globals()[method.rpartition(".")[2]](**kwargs)


def work_for(seconds: float, name: str, ignore_signals: bool = False) -> None:
	"""A job: writes into the ledger when it begins and when it ends; a file `end-jobs` in the bench ends it early."""
	if ignore_signals:
		signal.signal(signal.SIGTERM, signal.SIG_IGN)
	write_ledger("begin", name)
	until = time.monotonic() + seconds
	while (left := until - time.monotonic()) > 0 and not (bench_path() / "end-jobs").exists():
		time.sleep(min(left, LOOK_SECONDS))
	write_ledger("end", name)


def write_ledger(what: str, name: str) -> None:
	"""Append one line to the ledger, in one write, so that lines of many processes never mix."""
	line = json.dumps({"what": what, "job": name, "at": time.time(), "pid": os.getpid()}) + "\n"
	handle = os.open(bench_path() / "ledger.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
	os.write(handle, line.encode())
	os.close(handle)


def worker(queues: str) -> None:
	"""`bench worker`: work on queues, whose names are separated by commas."""
	from redis import Redis
	from rq import Queue, Worker

	boot()
	redis = Redis.from_url(config()["redis_queue"])
	prefix = config()["bench_id"]
	Worker(
		[Queue(f"{prefix}:{name}", connection=redis) for name in queues.split(",")], connection=redis
	).work(logging_level="WARNING")


def worker_pool(queues: str, size: str) -> None:
	"""`bench worker-pool`: several workers under one parent."""
	from redis import Redis
	from rq.worker_pool import WorkerPool

	boot()
	redis = Redis.from_url(config()["redis_queue"])
	names = [f"{config()['bench_id']}:{name}" for name in queues.split(",")]
	WorkerPool(names, connection=redis, num_workers=int(size)).start(logging_level="WARNING")


def schedule() -> None:
	"""`bench schedule`: does nothing until it is stopped."""
	boot()
	while True:
		time.sleep(60)


def migrate(site: str) -> int:
	"""`bench migrate`: write lines for some time and return the exit code, as migrate.json in the bench says.

	By default it writes three lines in 0.3 s and returns 0.
	"""
	path = bench_path() / "migrate.json"
	chosen = {"seconds": 0.3, "lines": 3} | (
		json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
	)
	if chosen.get("ignore_term"):
		signal.signal(signal.SIGTERM, signal.SIG_IGN)
	write_ledger("migrate", f"{site} begin")
	for number in range(chosen["lines"]):
		time.sleep(chosen["seconds"] / chosen["lines"])
		if not chosen.get("silent"):
			print(f"Migrating {site}: {number + 1} of {chosen['lines']}", flush=True)
	write_ledger("migrate", f"{site} end")
	return 1 if chosen.get("fail") else 0


def main(arguments: list[str]) -> None:
	"""The `bench` of the miniature bench."""
	if arguments[0] == "frappe":
		arguments = arguments[1:]
	if arguments[0] == "--site" and arguments[2:] == ["migrate"]:
		sys.exit(migrate(arguments[1]))
	command, *rest = arguments[2:] if arguments[0] == "--site" else arguments
	options = dict(zip(rest[::2], rest[1::2]))
	if command == "worker":
		worker(options["--queue"])
	elif command == "worker-pool":
		worker_pool(options["--queue"], options["--num-workers"])
	elif command == "schedule":
		schedule()


if __name__ == "__main__":
	main(sys.argv[1:])
