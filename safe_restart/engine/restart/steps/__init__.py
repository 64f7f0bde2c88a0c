"""The steps of the runbook, one function each."""
