"""What outlives the helper: the journal with its requests and reports, and the locks."""
