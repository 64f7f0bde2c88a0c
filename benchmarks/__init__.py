"""Side by side: safe-restart, `supervisorctl restart all` and what `bench restart` does, on a bench in miniature."""
