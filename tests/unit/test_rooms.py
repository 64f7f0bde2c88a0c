"""The house keeps its shape: imports point down only, and no room is without a file that says what it is for."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "safe_restart"

# From the ground up (docs/architecture.md); rooms on one floor do not know each other.
FLOORS = (
	("core",),
	("rq", "state", "processes"),
	("managers", "sites"),
	("workers", "web"),
	("jobs", "services"),
	("restart",),
	("views",),
	("helper",),
	("desk", "demo"),
	("commands", "api"),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# What Frappe finds by its place, and what is not part of a bench.
OUTSIDE = ("safe_restart", "tests", "hooks", "__main__", "__init__")
LONGEST_FILE = 300

MODULES = {
	".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
	for path in PACKAGE.rglob("*.py")
}


def room_of(module: str) -> str:
	parts = module.split(".")
	return parts[1] if parts[0] == "engine" and len(parts) > 1 else parts[0]


def imports_of(module: str) -> Iterator[str]:
	"""Modules of ours that this one imports, at whatever place in the file; absolute names of others."""
	path = MODULES[module]
	package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
	if module == "__init__":
		package = []
	for node in ast.walk(ast.parse(path.read_text())):
		if isinstance(node, ast.Import):
			yield from (f"/{name.name}" for name in node.names)
		if isinstance(node, ast.ImportFrom):
			if not node.level:
				yield f"/{node.module}"
				continue
			base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
			for name in node.names:
				inner = ".".join([*base, name.name])
				yield inner if inner in MODULES else ".".join(base)


RULED = sorted(module for module in MODULES if room_of(module) not in OUTSIDE and module != "engine")


@pytest.mark.parametrize("module", RULED)
def test_a_module_imports_only_from_the_floors_below(module):
	room = room_of(module)
	above = [
		found
		for found in imports_of(module)
		if not found.startswith("/") and room_of(found) != room and room_of(found) not in ("", "__init__")
		if FLOOR_OF[room_of(found)] >= FLOOR_OF[room]
	]
	assert above == []


def test_the_engine_imports_neither_frappe_nor_anything_of_ours_outside_itself():
	for module in RULED:
		if module.startswith("engine."):
			foreign = [f for f in imports_of(module) if f.partition(".")[0] in ("/frappe", "/safe_restart")]
			ours = [f for f in imports_of(module) if not f.startswith(("/", "engine"))]
			assert (foreign, ours) == ([], []), module


def test_no_two_modules_import_each_other_by_whatever_way_round():
	graph = {m: {f for f in imports_of(m) if f in MODULES and f != m} for m in MODULES}
	done: set[str] = set()

	def follow(module: str, trail: list[str]) -> None:
		assert module not in trail, " → ".join([*trail[trail.index(module) :], module])
		if module not in done:
			for found in sorted(graph[module]):
				follow(found, [*trail, module])
			done.add(module)

	for module in sorted(graph):
		follow(module, [])


def test_every_file_of_the_engine_is_in_a_room_and_every_room_says_what_it_is_for():
	assert [path.name for path in (PACKAGE / "engine").glob("*.py")] == ["__init__.py"]
	for init in PACKAGE.rglob("engine/**/__init__.py"):
		assert ast.get_docstring(ast.parse(init.read_text())), init


def test_no_file_is_longer_than_a_person_reads_at_once():
	long = {
		str(path.relative_to(PACKAGE)): lines
		for path in [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.js"), *PACKAGE.rglob("*.css")]
		if (lines := len(path.read_text().splitlines())) > LONGEST_FILE
	}
	assert long == {}
