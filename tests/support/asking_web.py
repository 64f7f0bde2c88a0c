"""The web of a bench in miniature, which asks for a restart itself, as the desk does: GET /restart?STRATEGY."""

import os
from functools import partial
from pathlib import Path

from safe_restart.demo import wsgi
from safe_restart.engine.core import bench as benches
from safe_restart.engine.restart.options import Options
from safe_restart.engine.state.journal import Journal
from safe_restart.engine.state.records import new_id
from safe_restart.helper import start_helper


def application(environ, start_response):
	if environ["PATH_INFO"] != "/restart":
		return wsgi.application(environ, start_response)
	bench = benches.load(os.environ["SAFE_RESTART_DEMO_BENCH"])
	answer = new_id()
	write = partial(Journal(bench).add, environ["QUERY_STRING"], Options().as_dict(), "desk", id=answer)
	try:
		start_helper(Path(bench.path), answer, write)
	except OSError as error:
		answer = str(error)
	start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
	return [answer.encode()]
