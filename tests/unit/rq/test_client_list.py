"""Addresses as Redis's CLIENT LIST has them."""

from hypothesis import given
from hypothesis import strategies as st

from safe_restart.engine.rq import client_list


@given(
	st.integers(0, 65535), st.sampled_from(["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "::ffff:127.0.0.1"])
)
def test_an_address_is_the_same_however_redis_writes_it(port, host):
	plain = "::1" if host == "[::1]" else "127.0.0.1"
	assert client_list.port_key(f"{host}:{port}") == (plain, port)
