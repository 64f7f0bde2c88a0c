"""The board's pure parts, tested by Node where there is one; tests/js/ has the tests."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = sorted(Path(__file__).parents[1].glob("js/*.test.mjs"))


@pytest.fixture(scope="module")
def node() -> str:
	path = shutil.which("node")
	if not path:
		pytest.skip("no Node, which runs the JavaScript's own tests: install Node 20.19, or 22.7 or later")
	version = subprocess.run([path, "--version"], capture_output=True, text=True).stdout.strip()
	numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
	# From these versions on a .js file with imports is a module without a package.json that says so.
	if not (20, 19) <= numbers < (21, 0) and numbers < (22, 7):
		pytest.skip(
			f"Node {version} is too old for the JavaScript's own tests: install 20.19, or 22.7 or later"
		)
	return path


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_the_javascripts_own_tests_pass(node, path):
	done = subprocess.run([node, "--test", str(path)], capture_output=True, text=True, timeout=60)
	assert done.returncode == 0, done.stdout + done.stderr
