"""Lines and the summary, as plain text."""

from collections import defaultdict

LINE = "{:>9}  {:<16} {:<12} {:<23} {:>4}  {:>7}  {}"


def headings() -> str:
	return LINE.format("sub-seed", "strategy", "step", "fault", "exit", "works", "typed afterwards")


def line(result: dict) -> str:
	"""One run: works is the time in seconds from the fault until the bench worked again."""
	exit_code = "?" if result["exit_code"] is None else result["exit_code"]
	after = "; ".join(result["typed"])
	if result["problem"]:
		after = f"FAILED: {result['problem'].splitlines()[0][:200]}" + (f" [{after}]" if after else "")
	return LINE.format(
		result["sub_seed"],
		result["strategy"],
		result["step"],
		result["fault"],
		exit_code,
		seconds(result["seconds"]),
		after,
	).rstrip()


def seconds(value: float | None) -> str:
	return "-" if value is None else f"{value:.1f} s"


def render(results: list[dict]) -> str:
	"""Fault by step: runs (and of those failed), and the longest time to a working bench."""
	groups: dict[tuple[str, str], list[dict]] = defaultdict(list)
	for result in results:
		groups[result["fault"], result["step"]].append(result)
	rows = ["{:<23} {:<12} {:>5} {:>7}  {:>9}".format("fault", "step", "runs", "failed", "longest")]
	for (fault, step), group in sorted(groups.items()):
		failed = sum(bool(result["problem"]) for result in group)
		rows.append(f"{fault:<23} {step:<12} {len(group):>5} {failed:>7}  {longest(group):>9}")
	rows.append(
		f"{'all':<36} {len(results):>5} {sum(bool(r['problem']) for r in results):>7}  {longest(results):>9}"
	)
	return "\n".join(rows)


def longest(results: list[dict]) -> str:
	return seconds(max((r["seconds"] for r in results if r["seconds"] is not None), default=None))


def failure(result: dict) -> str:
	return (
		f"{result['sub_seed']}: {result['problem']}\n  again: python -m tests.faults --only {result['sub_seed']}\n"
		f"  evidence: {result['evidence']}\n"
	)
