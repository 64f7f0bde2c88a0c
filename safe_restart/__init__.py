"""Restart a Frappe bench without breaking a background job."""

__version__ = "0.2.0-dev"
