"""Operating system processes: which live, which are children of which, what they run; and running a program."""
