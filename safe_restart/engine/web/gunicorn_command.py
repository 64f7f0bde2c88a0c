"""Reading the command line of a gunicorn, strictly: what is not understood is refused, not guessed."""

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import Refused

# Options that have nothing to do with sockets, pid files or signals, so that two gunicorns may run with the same ones.
WITH_VALUE = {
	"-w",
	"--workers",
	"-t",
	"--timeout",
	"-k",
	"--worker-class",
	"-n",
	"--name",
	"--threads",
	"--max-requests",
	"--max-requests-jitter",
	"--graceful-timeout",
	"--keep-alive",
	"--worker-tmp-dir",
	"--worker-connections",
	"--log-level",
	"--log-file",
	"--access-logfile",
	"--error-logfile",
	"--access-logformat",
	"--forwarded-allow-ips",
	"--limit-request-line",
	"--limit-request-fields",
	"--limit-request-field_size",
	"--statsd-host",
	"--statsd-prefix",
}
WITHOUT_VALUE = {"--preload", "--capture-output", "--no-control-socket"}
MEASURED_CLASSES = ("sync", "gthread")


@dataclass(frozen=True)
class Gunicorn:
	"""What a command line says: gunicorn's interpreter, its port on 127.0.0.1, and the class of its workers."""

	python: str
	port: int
	worker_class: str


def read(command: str) -> Gunicorn:
	"""Read a command of the kind that bench writes. Raises Refused for any other."""
	if any(mark in command for mark in "%'\"\\;$"):
		raise not_understood("its command is quoted or has placeholders")
	words = command.split()
	python, rest = start_of(words)
	values, application = {}, []
	while rest:
		word = rest.pop(0)
		option, glued, value = word.partition("=") if word.startswith("--") else (word, "", "")
		if option in WITHOUT_VALUE and not glued:
			continue
		if option in WITH_VALUE | {"-b"} and (glued or rest) and option not in values:
			values[option] = value if glued else rest.pop(0)
		elif not word.startswith("-"):
			application.append(word)
		else:
			raise not_understood(f"of its gunicorn option {word} nothing is known")
	if len(application) != 1 or ":" not in application[0]:
		raise not_understood(f"it names {len(application)} applications")
	return Gunicorn(python, port_of(values), class_of(values))


def start_of(words: list[str]) -> tuple[str, list[str]]:
	"""The interpreter, and the words after gunicorn's name. Raises Refused unless gunicorn is named by its full path."""
	program = Path(words[0]) if words else Path()
	if program.name == "gunicorn" and program.is_absolute():
		return str(program.parent / "python"), words[1:]
	if program.name.startswith("python") and program.is_absolute() and words[1:3] == ["-m", "gunicorn"]:
		return words[0], words[3:]
	raise not_understood("its command does not begin with the full path of gunicorn")


def port_of(values: dict[str, str]) -> int:
	"""The port on 127.0.0.1, from the options by name. Raises Refused for any other address."""
	host, _, port = values.get("-b", "").rpartition(":")
	if host != "127.0.0.1" or not port.isdigit():
		raise not_understood(
			f"it listens on {values.get('-b') or 'no address of its own'}, not on 127.0.0.1:PORT"
		)
	return int(port)


def class_of(values: dict[str, str]) -> str:
	"""The class of the workers, from the options by name; threads make it gthread. Raises Refused for other classes."""
	threads = values.get("--threads", "1")
	name = values.get("-k") or values.get("--worker-class") or "sync"
	if name not in MEASURED_CLASSES:
		raise not_understood(f"nobody measured workers of class {name}")
	return "gthread" if threads != "1" else name


def not_understood(why: str) -> Refused:
	"""The error for a web service that is not as bench writes it."""
	return Refused(
		f"The web program is not as bench writes it: {why}. Nothing was touched. Let bench write it (`bench setup "
		"supervisor`, or systemd), or leave it: a restart works as before, and the web does not answer while it boots."
	)
