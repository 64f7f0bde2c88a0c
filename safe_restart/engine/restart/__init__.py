"""Carrying out one request: strategies, options, the runbook and its steps, recovery."""
