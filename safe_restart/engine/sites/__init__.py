"""The sites of a bench: maintenance mode, migration, what their apps say, who may see what."""
