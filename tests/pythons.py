"""The unit tests and one restart on each Python that is found: python -m tests.pythons 3.10 3.11

A Python is looked for in PATH, and where pyenv keeps its own. `make` sets up a venv with it. Fails where a test fails on any,
or none is found.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = ("tests/unit", "tests/smoke")
WORKERS = "2"
PYENV = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"


def candidates(version: str) -> Iterator[str]:
	if found := shutil.which(f"python{version}"):
		yield found
	newest_first = sorted(
		PYENV.glob(f"{version}.*"), key=lambda path: [*map(key, path.name.split("."))], reverse=True
	)
	yield from (str(path / "bin/python3") for path in newest_first)


def key(part: str) -> int:
	"""The number of a version's part; one that is no number, such as 0b2, comes before all."""
	return int(part) if part.isdigit() else -1


def is_version(python: str, version: str) -> bool:
	"""Whether it runs and is that version; pyenv's own `python3.10` may only say that it is not chosen."""
	words = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
	try:
		done = subprocess.run(words, capture_output=True, text=True, timeout=60)
	except OSError:
		return False
	return done.stdout.strip() == version


def find(version: str) -> str | None:
	return next((python for python in candidates(version) if is_version(python, version)), None)


def passes(python: str, version: str) -> bool:
	ready = f".venv-pythons/{version}/ready"
	if subprocess.run(["make", "--no-print-directory", f"PYTHON={python}", ready]).returncode:
		return False
	words = [f".venv-pythons/{version}/bin/python", "-m", "pytest", "-q", "-n", WORKERS, *TESTS]
	return not subprocess.run(words).returncode


def main(versions: list[str]) -> int:
	results = {}
	for version in versions:
		python = find(version)
		if python:
			print(f"Python {version}: {python}", flush=True)
		results[version] = passes(python, version) if python else None
	for version, is_passed in results.items():
		print(f"Python {version}: {({True: 'passed', False: 'FAILED'}).get(is_passed, 'not found')}")
	return int(False in results.values() or not any(results.values()))


if __name__ == "__main__":
	sys.exit(main(sys.argv[1:]))
