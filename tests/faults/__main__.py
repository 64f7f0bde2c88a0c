"""`python -m tests.faults --runs N --seed SEED --jobs J`, or `--only SUB_SEED` for one run of those."""

import json
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import click

from . import table
from .scenario import SUB_SEEDS, Scenario, deal, scenario


@click.command(context_settings={"show_default": True})
@click.option("--runs", type=click.IntRange(1), default=40)
@click.option("--seed", type=int, help="Of an earlier series; otherwise a new one is drawn.")
@click.option("--jobs", type=click.IntRange(1), default=2, help="Runs at the same time.")
@click.option("--only", type=click.IntRange(0), multiple=True, metavar="SUB_SEED", help="Repeatable.")
@click.option("--plan", is_flag=True, help="List the runs and do none.")
def main(runs: int, seed: int | None, jobs: int, only: tuple[int, ...], plan: bool) -> None:
	"""Restart benches in miniature, harm each at a seeded moment, and see that it comes back whole."""
	seed = random.randrange(SUB_SEEDS) if seed is None else seed
	chosen = [scenario(number) for number in only] or deal(seed, runs)
	if not only:
		click.echo(f"{runs} runs of seed {seed}, {jobs} at a time; --seed {seed} repeats them.")
	if plan:
		for one in chosen:
			click.echo(str(one))
		return
	began = time.monotonic()
	results = carry_out(chosen, jobs)
	click.echo(f"\n{table.render(results)}\n")
	failed = [result for result in results if result["problem"]]
	for result in failed:
		click.echo(table.failure(result))
	click.echo(f"{time.monotonic() - began:.0f} s in all.")
	click.echo(f"{len(results) - len(failed)} passed, {len(failed)} failed")
	sys.exit(bool(failed))


def carry_out(chosen: list[Scenario], jobs: int) -> list[dict]:
	"""Each run in a process of its own; prints a line as each ends."""
	folder = tempfile.mkdtemp(prefix="safe-restart-faults-")
	click.echo(table.headings())
	results = []
	with ThreadPoolExecutor(jobs) as pool:
		try:
			for future in as_completed([pool.submit(run_apart, one, folder) for one in chosen]):
				results.append(future.result())
				click.echo(table.line(results[-1]))
		except BaseException:
			pool.shutdown(
				wait=False, cancel_futures=True
			)  # those that have begun end their benches themselves
			raise
	if not any(Path(folder).iterdir()):
		Path(folder).rmdir()
	return results


def run_apart(chosen: Scenario, folder: str) -> dict:
	"""The result of one run; one whose process broke has failed too."""
	words = [sys.executable, "-m", "tests.faults.one", str(chosen.sub_seed), folder]
	done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
	lines = done.stdout.splitlines()
	if done.returncode == 0 and lines:
		return json.loads(lines[-1])
	said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
	return {
		**vars(chosen),
		"exit_code": None,
		"seconds": None,
		"typed": [],
		"problem": said,
		"evidence": "",
		"took": 0,
	}


if __name__ == "__main__":
	main(prog_name="python -m tests.faults")
