"""systemd: units, their properties, and drop-ins that change them."""
