"""The web: whether the sites answer, and the keeper that replaces gunicorn without refusing a request."""
