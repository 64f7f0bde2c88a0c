"""What the demo's web answers, and to whom."""

import http.client

import pytest

from safe_restart.demo.bench import Workers


@pytest.mark.parametrize(
	("verb", "path", "headers", "status"),
	[
		("POST", "overview", {}, 200),
		("POST", "overview", {"Origin": "http://elsewhere.example"}, 403),
		("POST", "overview", {"Origin": "null"}, 403),
		("POST", "overview", {"Host": "elsewhere.example", "Origin": "http://elsewhere.example"}, 403),
		("POST", "overview", {"Content-Type": "text/plain"}, 417),
		("GET", "overview", {}, 403),
		("POST", "__class__", {}, 417),
		("GET", "/assets/safe_restart/js/board/board.js", {}, 200),
		("GET", "/assets/safe_restart/../hooks.py", {}, 404),
		("GET", "/assets/safe_restart/%2e%2e/hooks.py", {}, 404),
		("GET", "/assets/safe_restart//etc/passwd", {}, 404),
	],
)
def test_only_the_boards_own_page_may_ask_the_demo_and_only_its_files_are_served(
	asking_demo, verb, path, headers, status
):
	path = path if path.startswith("/") else f"/api/method/safe_restart.api.{path}"
	connection = http.client.HTTPConnection("127.0.0.1", asking_demo.web_port, timeout=20)
	connection.request(
		verb, path, "{}" if verb == "POST" else None, {"Content-Type": "application/json", **headers}
	)
	answer = connection.getresponse()
	assert answer.status == status, answer.read()
	if path.endswith("board.js"):
		assert answer.getheader("Content-Type").startswith("text/javascript")


@pytest.fixture(scope="module")
def asking_demo(make_shared_bench):
	return make_shared_bench(boot_seconds=0, workers=(Workers(count=1),))
