"""Operating system processes: who is alive, whose child is whose, what a command line runs."""
