"""A bench in miniature: real Redis, RQ workers, gunicorn, a scheduler and supervisord, without Frappe."""
