"""What `setup web` makes of supervisor's configuration, and what it refuses."""

import pytest

from safe_restart.engine.core.bench import Bench
from safe_restart.engine.core.errors import Refused
from safe_restart.engine.web import keeper_supervisor

BENCH_WRITES = """\
[program:b-frappe-web]
command={bench}/env/bin/gunicorn -b 127.0.0.1:8000 -w 5 --max-requests 5000 --max-requests-jitter 500 -t 120 \
--graceful-timeout 30 frappe.app:application --preload
priority=4
autostart=true
autorestart=true
stdout_logfile={bench}/logs/web.log
stderr_logfile={bench}/logs/web.error.log
stopwaitsecs=40
killasgroup=true
user=frappe
directory={bench}/sites
startretries=10

[program:b-node-socketio]
command=/usr/bin/bench socketio
directory={bench}

[group:b-web]
programs=b-frappe-web,b-node-socketio
"""


@pytest.fixture
def written(tmp_path) -> Bench:
	"""A bench with the configuration that `bench setup supervisor` writes."""
	for folder in ("config", "sites", "env/bin"):
		(tmp_path / folder).mkdir(parents=True)
	(tmp_path / "env/bin/python").touch()
	(tmp_path / "config/supervisor.conf").write_text(BENCH_WRITES.format(bench=tmp_path))
	return Bench(tmp_path, {})


def test_only_the_beginning_of_one_command_changes(written):
	change = keeper_supervisor.plan(written)
	gunicorn = f"{written.path}/env/bin/gunicorn"
	prefix = f"{written.path}/env/bin/python -I -S {written.path}/config/web_keeper.py "
	assert change.after == change.before.replace(f"command={gunicorn}", f"command={prefix}{gunicorn}")
	change.path.write_text(change.after)
	assert keeper_supervisor.plan(written).diff == ""
	assert keeper_supervisor.plan(written, undo=True).after == change.before


@pytest.mark.parametrize(
	("old", "new", "why"),
	[
		("127.0.0.1:8000", "0.0.0.0:8000", "listens on"),
		("127.0.0.1:8000", "unix:/tmp/web.sock", "listens on"),
		("127.0.0.1:8000", "127.0.0.1:8001", "webserver_port"),
		("-b 127.0.0.1:8000", "-b 127.0.0.1:8000 -b 127.0.0.1:8002", "nothing is known"),
		("-b 127.0.0.1:8000", "", "no address"),
		("-w 5", "-w 5 --certfile /etc/cert", "nothing is known"),
		("-w 5", "-w 5 --pid /run/web.pid", "nothing is known"),
		("-w 5", "-w 5 -c gunicorn.conf.py", "nothing is known"),
		("-w 5", "-w 5 -k gevent", "nobody measured"),
		("-w 5", "-w %(ENV_WORKERS)s", "placeholders"),
		("command=", "command=/usr/bin/nice ", "full path of gunicorn"),
		("frappe.app:application", "", "applications"),
		("stopwaitsecs=40", "stopwaitsecs=40\nnumprocs=2", "numprocs=2"),
		("stopwaitsecs=40", "stopwaitsecs=40\nstopasgroup=true", "stopasgroup=true"),
		("stopwaitsecs=40", "stopwaitsecs=40\nserverurl=AUTO", "serverurl=AUTO"),
		("priority=4", "  --threads 4\npriority=4", "goes on"),
		("user=frappe", "environment=GUNICORN_CMD_ARGS='-w 9'", "GUNICORN_CMD_ARGS"),
		("/sites\nstart", "\nstart", "does not run in"),
		("[program:b-frappe-web]", "[program:other]", ""),
		("gunicorn -b", "python -b", "web programs"),
	],
)
def test_what_is_not_understood_is_refused_with_a_sentence(written, old, new, why):
	path = written.path / "config/supervisor.conf"
	text = path.read_text()
	assert old in text
	path.write_text(text.replace(old, new))
	if not why:  # a name is no reason
		assert keeper_supervisor.plan(written).diff
		return
	with pytest.raises(Refused, match=why) as refused:
		keeper_supervisor.plan(written)
	assert "Nothing was touched" in str(refused.value)


def test_a_bench_without_supervisors_configuration_is_refused_with_a_sentence(tmp_path):
	with pytest.raises(Refused, match="cannot be read"):
		keeper_supervisor.plan(Bench(tmp_path, {}))


def test_threads_are_named(written):
	path = written.path / "config/supervisor.conf"
	path.write_text(path.read_text().replace("-w 5", "-w 5 --threads 4"))
	assert "1 to 3 requests" in keeper_supervisor.plan(written).warnings[0]
