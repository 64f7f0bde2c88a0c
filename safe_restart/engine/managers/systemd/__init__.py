"""systemd: its units, their properties, the drop-ins that change them, and a scope for the helper."""
