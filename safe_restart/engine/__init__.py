"""What knows benches, Redis, RQ and processes. Never imports frappe: a bench whose Frappe no longer imports is
exactly the one that needs a restart."""
