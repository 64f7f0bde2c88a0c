"""Bringing services from an old process to a new one."""
