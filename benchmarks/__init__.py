"""Side by side: safe-restart, `supervisorctl restart all`, `systemctl restart` and what `bench restart` does, on a bench in miniature."""
