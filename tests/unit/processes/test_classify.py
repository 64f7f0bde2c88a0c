"""What a process is, and whose."""

import pytest

from safe_restart.engine.core.bench import Bench
from safe_restart.engine.processes.classify import belongs_to, kind_of
from tests.unit.builders import BENCH


@pytest.mark.parametrize(
	("command", "kind"),
	[
		(
			"/b/env/bin/gunicorn -b 127.0.0.1:8000 -w 17 --max-requests 5000 -t 120 frappe.app:application --preload",
			"web",
		),
		("/usr/bin/bench worker --queue short,default", "workers"),
		("/b/env/bin/python -m frappe.utils.bench_helper frappe worker --queue long", "workers"),
		("bench worker-pool --num-workers 4 --queue default", "workers"),
		("/usr/bin/bench schedule", "scheduler"),
		("/usr/bin/node /b/apps/frappe/socketio.js", "socketio"),
		("/usr/bin/redis-server /b/config/redis_queue.conf", "redis"),
		("/usr/bin/valkey-server /b/config/redis_cache.conf", "redis"),
		("/b/env/bin/python mail_fetcher.py", "other"),
		("sh -c 'cd /b && bench worker --queue default'", "workers"),
		('bash -c "cd /b/sites; exec ../env/bin/bench worker-pool"', "workers"),
		("bench --site shop.example worker", "workers"),
		("env QUEUE=x nice -n 5 bench worker", "workers"),
		("/usr/bin/flock /b/lock /usr/local/bin/bench frappe schedule", "scheduler"),
		("bench serve --port 8000", "web"),
		("/b/env/bin/celery -A shop worker", "other"),
		("sh -c 'cd /home/frappe/bench && celery -A shop worker'", "other"),
		("/b/env/bin/python /b/scripts/worker", "other"),
		("node /b/apps/shop/serve", "other"),
		("bench execute shop.mail.fetch", "other"),
	],
)
def test_a_service_is_known_by_its_command(command, kind):
	assert kind_of(command) == kind


@pytest.mark.parametrize(
	("command", "directory", "ours"),
	[
		("/usr/bin/bench worker --queue short", "/home/frappe/bench", True),
		("/usr/bin/bench worker --queue short", "/home/frappe/bench/sites", True),
		("/usr/bin/redis-server /home/frappe/bench/config/redis.conf", "none", True),
		("/usr/bin/bench worker --queue short", "/home/frappe/bench-2", False),
		("/usr/bin/redis-server /home/frappe/bench-2/config/redis.conf", "none", False),
		("/usr/bin/python -m http.server", "/srv", False),
	],
)
def test_only_programs_of_this_bench_are_touched_not_those_of_one_with_a_longer_name(
	command, directory, ours
):
	assert belongs_to(BENCH, command, directory) is ours


def test_a_program_that_runs_in_another_bench_is_that_ones_whatever_it_names(tmp_path):
	benches = [Bench(tmp_path / name, {}) for name in ("bench", "bench/nested", "bench-2")]
	for bench in benches:
		bench.sites_path.mkdir(parents=True)
		(bench.sites_path / "common_site_config.json").write_text("{}")
	for home in benches:
		command = f"{benches[0].path}/env/bin/bench worker --queue short"
		assert [belongs_to(bench, command, str(home.sites_path)) for bench in benches] == [
			bench is home for bench in benches
		]
	assert belongs_to(benches[0], f"{benches[0].path}/env/bin/bench worker", str(tmp_path))
