"""What all benches of the tests have in common."""

# A worker that was alive when a restart began is old; boot times are short, as nothing here depends on them.
BOOT_SECONDS = 0.3
