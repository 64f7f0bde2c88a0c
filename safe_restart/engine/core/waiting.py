"""How long to wait between two looks at something that is about to change."""

LOOK_INTERVAL_SECONDS = 0.02  # between two looks while something is waited for
