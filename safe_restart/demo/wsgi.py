"""The web of the miniature bench, which gunicorn loads instead of Frappe's."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from . import app

DESK = ("/app/", "/assets/", "/api/method/safe_restart.")

web = {"status": "200 OK", "exits": False}


def load_web() -> None:
	"""Read web.json, which stands for the code of the web: it may ask for another status than 200, or for no
	boot at all."""
	path = app.bench_path() / "web.json"
	web.update(json.loads(path.read_text()) if path.exists() else {})
	if web["exits"]:
		sys.exit("The web of this bench does not boot, as its web.json says.")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
	"""Answer like frappe.ping, with 503 while the site is in maintenance mode. /slow takes a second.

	The desk has only the board.
	"""
	if environ["PATH_INFO"] == "/slow":
		time.sleep(1)
	is_down = json.loads((app.bench_path() / "sites" / app.SITE / "site_config.json").read_text()).get(
		"maintenance_mode"
	)
	if environ["PATH_INFO"].startswith(DESK) and not is_down:
		from . import board_server  # imports the engine, which would lengthen a measured boot

		return board_server.answer(environ, start_response)
	status = "503 Service Unavailable" if is_down else web["status"]
	start_response(status, [("Content-Type", "application/json")])
	return [b'{"message": "pong"}']


if "gunicorn" in sys.argv[0]:
	app.boot()
	load_web()
