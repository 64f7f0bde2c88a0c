"""The sites of a bench: maintenance mode, migration, the hooks of their apps, and what each site may see."""
