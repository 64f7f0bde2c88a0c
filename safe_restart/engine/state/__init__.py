"""What survives the helper: the journal, the locks and the report."""
