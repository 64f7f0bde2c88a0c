"""Restart a Frappe bench without breaking a background job."""

__version__ = "0.1.0"
