"""Text for people: numbers with their nouns, and text from outside."""


def pluralize(number: int, noun: str) -> str:
	"""`1 worker`, `2 workers`; of a noun with several words the first gets the plural."""
	thing, _, rest = noun.partition(" ")
	return f"{number} {thing}{'' if number == 1 else 's'}{' ' * bool(rest)}{rest}"


def readable(text: str) -> str:
	"""Text that came from outside as UTF-8 can hold it: bytes that Python could not read in its locale are read again as
	UTF-8, and what is none becomes a replacement character."""
	return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
