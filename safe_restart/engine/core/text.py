"""Numbers with their nouns."""


def pluralize(number: int, noun: str) -> str:
	"""`1 worker`, `2 workers`; the first word of the noun is what is counted."""
	thing, _, rest = noun.partition(" ")
	return f"{number} {thing}{'' if number == 1 else 's'}{' ' * bool(rest)}{rest}"
