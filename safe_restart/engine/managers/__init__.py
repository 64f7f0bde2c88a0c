"""Process managers: what runs a bench's services, and how to make it bring one back. Each kind is one file with one class."""
