"""Numbers with their nouns."""


def pluralize(number: int, noun: str) -> str:
	"""`1 worker`, `2 workers`; of a noun with several words the first gets the plural."""
	thing, _, rest = noun.partition(" ")
	return f"{number} {thing}{'' if number == 1 else 's'}{' ' * bool(rest)}{rest}"
