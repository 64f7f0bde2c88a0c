"""The Frappe side: what runs inside a site. Imports frappe; the engine never does."""
