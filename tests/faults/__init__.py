"""Faults injected into restarts of real benches at seeded moments, and what must be true afterwards.

`make test-faults` or `python -m tests.faults --runs 40 --seed 7`; see docs/reliability.md.
"""
