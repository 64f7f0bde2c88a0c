"""A Redis that answers, and says no: nothing is touched, and the sentence says what mends it."""

import json
from collections.abc import Callable

import pytest

from tests.support.cli import cli
from tests.support.health import assert_bench_is_healthy
from tests.support.load import run_long
from tests.support.restarts import newest_steps


def become_a_replica(demo) -> None:
	demo.redis.config_set("replica-serve-stale-data", "yes")
	demo.redis.replicaof("127.0.0.1", 1)


def web_pids(demo) -> set[int]:
	return {service.pid for service in demo.fleet_reader().manager.services() if service.kind == "web"}


def take_writes_again(demo) -> None:
	demo.redis.replicaof("NO", "ONE")


def change_redis_url(demo, change: Callable[[str], str]) -> str:
	"""Write another redis_queue; returns the one that was there."""
	config = demo.path / "sites/common_site_config.json"
	values = json.loads(config.read_text())
	config.write_text(json.dumps({**values, "redis_queue": change(values["redis_queue"])}))
	return values["redis_queue"]


@pytest.mark.parametrize(
	"words", [(), ("--wait-workers",), ("--now", "--force-kill-timeout", "0"), ("--suspend-rq",)]
)
def test_a_replica_that_takes_no_writes_is_named_before_anything_is_touched(demo, words):
	web = web_pids(demo)
	become_a_replica(demo)
	refused = cli(demo, *words, "--json")
	assert refused.exit_code == 2, refused.text
	assert (
		"is a replica and takes no writes" in refused.json["outcome"]
		and "name the master" in refused.json["outcome"]
	)
	assert web_pids(demo) == web and set(newest_steps(demo)) <= {"preflight"}
	found = cli(demo, "doctor", "--json")
	assert found.exit_code == 1
	assert any("is a replica" in one["text"] and one["fix"] for one in found.json["findings"])
	take_writes_again(demo)


def test_a_redis_that_wants_a_password_is_not_told_to_be_started(demo):
	jobs = run_long(demo, 1, 3)
	demo.redis.config_set("requirepass", "secret")
	try:
		for words in (("plan",), ("status",), ("resume",), ("jobs",), ("--json",)):
			said = cli(demo, *words).text
			assert "wants a password" in said and "does not answer" not in said, said
			assert "Recommended: now" not in said
	finally:
		without = change_redis_url(demo, lambda url: url.replace("redis://", "redis://:secret@"))
		demo.fleet_reader().redis.config_set("requirepass", "")
		change_redis_url(demo, lambda url: without)
	assert_bench_is_healthy(demo, jobs)


def become_a_user_with(demo, rules: str) -> None:
	demo.fleet_reader().redis.execute_command("ACL", "SETUSER", "operator", "on", ">secret", *rules.split())
	change_redis_url(demo, lambda url: url.replace("redis://", "redis://operator:secret@"))


def test_the_keys_that_frappe_allows_a_redis_user_are_enough(demo):
	"""FACTS 1.16. Channels and CLIENT LIST are there for RQ, whose workers do not start without on Redis 7."""
	run_long(demo, 1, 60)
	frappes = f"~rq:[^q]* ~rq:queues ~rq:queue:{demo.bench.bench_id}:* +@all -@admin"
	is_redis_7 = int(demo.fleet_reader().redis.info("server")["redis_version"].split(".")[0]) >= 7
	become_a_user_with(demo, f"{frappes} &rq:pubsub:* +client|list" if is_redis_7 else frappes)
	done = cli(demo, "--now", "--force-kill-timeout", "0", "--interrupted", "hold", "--json")
	assert done.exit_code == 0 and done.json["jobs"]["held"] == 1, done.text
	assert len(cli(demo, "jobs", "--json").json["jobs"]) == 1


def test_a_redis_user_without_the_keys_is_named_before_anything_is_touched(demo):
	web = web_pids(demo)
	become_a_user_with(demo, "~rq:job:* ~rq:worker* ~rq:queue* ~rq:clean* ~rq:suspended ~rq:w* +@all -@admin")
	refused = cli(demo, "--json")
	assert refused.exit_code == 2 and "forbids this user" in refused.json["outcome"], refused.text
	assert web_pids(demo) == web
