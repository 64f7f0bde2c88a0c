"""The benchmarks find everything that they measure with; `make bench` runs them."""

from click.testing import CliRunner

from benchmarks.__main__ import main


def test_the_benchmarks_start():
	assert CliRunner().invoke(main, ["--help"]).exit_code == 0
