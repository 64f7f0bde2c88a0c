"""Serves the demo's board instead of Frappe's desk: its page, and the methods that the board calls.

There is no login here, so only a page of this server may call them, under a host name that means this
machine.
"""

import json
import uuid
from collections.abc import Callable
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from ..engine.core import bench as benches
from ..engine.core.bench import Bench
from ..engine.core.errors import Refused, RestartError
from ..engine.restart.options import Options
from ..engine.restart.strategies import strategy_named
from ..engine.rq.snapshot import RqReader
from ..engine.sites import app_hooks
from ..engine.sites.visibility import SiteVisibility, visibility_of
from ..engine.state.journal import Journal
from ..engine.state.records import new_id
from ..engine.views import board
from ..helper import start_helper
from . import app
from .jobs import enqueue

Environ = dict[str, Any]  # of WSGI

PAGE = "/app/safe-restart"
METHODS = "/api/method/safe_restart.api."
PUBLIC = Path(__file__).resolve().parents[1] / "public"
HERE = Path(__file__).resolve().parent
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
NAMES = ("127.0.0.1", "localhost", app.SITE)
LONGEST_BODY = 100_000
USER = "Administrator"
# Nothing inline and nothing from another server, so that nothing the board shows can become a script.
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'"


def files() -> dict[str, Path]:
	"""The files that are served, by the path in the URL. No other path exists."""
	public = {
		f"/assets/safe_restart/{path.relative_to(PUBLIC).as_posix()}": path for path in PUBLIC.rglob("*.*")
	}
	page = {PAGE: "page.html", f"{PAGE}.js": "page.js", f"{PAGE}.css": "page.css"}
	return {**{path: HERE / name for path, name in page.items()}, **public}


FILES = files()


def answer(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
	"""The WSGI application for the board's page, its files and its methods."""
	status, kind, body = route(environ)
	headers = [
		("Content-Type", f"{kind}; charset=utf-8"),
		("Content-Length", str(len(body))),
		("Content-Security-Policy", POLICY),
		("X-Content-Type-Options", "nosniff"),
		("Cache-Control", "no-store"),
	]
	start_response(status, headers)
	return [body]


def route(environ: Environ) -> tuple[str, str, bytes]:
	"""The status, content type and body of the answer."""
	path, verb = environ["PATH_INFO"], environ["REQUEST_METHOD"]
	if path in FILES and FILES[path].suffix in TYPES and verb == "GET":
		return "200 OK", TYPES[FILES[path].suffix], FILES[path].read_bytes()
	if not path.startswith(METHODS):
		return as_json("404 Not Found", {"exception": "There is no such page."})
	if verb != "POST" or not is_own_page(environ):
		return as_json("403 Forbidden", {"exception": "Only the board's own page may ask this, by POST."})
	try:
		return as_json("200 OK", {"message": call(path.removeprefix(METHODS), read(environ))})
	except RestartError as error:
		return as_json("417 Expectation Failed", {"exception": str(error)})


def as_json(status: str, answer: dict) -> tuple[str, str, bytes]:
	return status, "application/json", json.dumps(answer).encode()


def is_own_page(environ: Environ) -> bool:
	"""Whether the request comes from a page of this server, or from no page at all.

	The host name is checked too, as another name for this address may belong to a page of somebody else.
	"""
	host = environ.get("HTTP_HOST", "")
	origin = environ.get("HTTP_ORIGIN")
	return host.partition(":")[0] in NAMES and origin in (None, f"http://{host}")


def read(environ: Environ) -> dict:
	"""Read the arguments of a method from the body. Raises Refused."""
	body = environ["wsgi.input"].read(min(int(environ.get("CONTENT_LENGTH") or 0), LONGEST_BODY))
	try:
		arguments = json.loads(body or b"{}")
	except ValueError:
		arguments = None
	if environ.get("CONTENT_TYPE", "").partition(";")[0] != "application/json" or not isinstance(
		arguments, dict
	):
		raise Refused("The arguments must be a JSON object. Nothing was touched.")
	return arguments


def call(method: str, arguments: dict) -> dict:
	"""Answer as safe_restart.api would on a site.

	Raises RestartError, and OSError where no helper can be started.
	"""
	if method not in CALLS:
		raise Refused(f"There is no method {method!r}. Nothing was touched.")
	bench = benches.load(app.bench_path())
	try:
		bound = signature(CALLS[method]).bind(bench, visibility_of(bench, app.SITE), **arguments)
	except TypeError as error:
		raise Refused(f"These arguments do not fit ({error}). Nothing was touched.") from None
	return CALLS[method](*bound.args, **bound.kwargs)


def overview(bench: Bench, visibility: SiteVisibility) -> dict:
	return {**board.overview(bench, visibility), "site": app.SITE}


def preview(bench: Bench, visibility: SiteVisibility, options: dict | None = None) -> dict:
	blockers = [{"by": one.by, "sentence": one.sentence} for one in app_hooks.objections(bench)]
	return {**board.previews(bench, options or {}, visibility), "blockers": blockers}


def request(
	bench: Bench,
	visibility: SiteVisibility,
	strategy: str,
	options: dict | None = None,
	reason: str = "",
	override_blockers: bool = False,
	confirm: str = "",
) -> dict:
	"""Start a helper for a new request and write the request, as Frappe's desk and the command line do."""
	if strategy_named(strategy).interrupts and confirm != app.SITE:
		raise Refused(f"Type {app.SITE} to confirm that jobs may be interrupted. Nothing was touched.")
	if override_blockers and not reason:
		raise Refused("Say why you restart in spite of an objection. Nothing was touched.")
	choice = Options.from_dict({**(options or {}), "override_blockers": override_blockers})
	id = new_id()
	start_helper(bench.path, id, partial(Journal(bench).add, strategy, choice.as_dict(), USER, reason, id))
	return {"request": id}


def give_work(bench: Bench, visibility: SiteVisibility) -> dict:
	"""Queue jobs to restart under: one of half a minute for each of two workers, and forty short ones."""
	redis = RqReader(bench).redis
	for seconds, count, queue in ((30, 2, "long"), (0.5, 40, "short")):
		for _ in range(count):
			enqueue(bench, redis, seconds, f"work-{uuid.uuid4().hex[:8]}", queue)
	return {"sentence": "Queued."}


CALLS: dict[str, Callable[..., dict]] = {
	"overview": overview,
	"preview": preview,
	"progress": lambda bench, visibility, request, after=0: board.progress(bench, request, after, visibility),
	"history": lambda bench, visibility, limit=20, before=None: board.history(
		bench, visibility, limit, before
	),
	"request": request,
	"cancel": lambda bench, visibility, request: board.cancel(bench, request),
	"requeue": lambda bench, visibility, job: board.requeue(bench, job, USER, visibility),
	"discard": lambda bench, visibility, job: board.discard(bench, job, USER, visibility),
	"give_work": give_work,
}
