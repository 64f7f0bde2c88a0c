"""How a request can end badly: one class for each exit code of the command line.

A person reads each message at 2 a.m. It says what happened, what state the bench is in, and what to type next.
"""


class RestartError(Exception):
	"""The request failed; the message says what state the bench is in and what to do next."""

	exit_code = 1


class Refused(RestartError):
	"""Bad input, or a restart that cannot be done safely. Nothing was touched."""

	exit_code = 2


class Unseen(Refused):
	"""The processes of the bench cannot be seen from here, so nothing can be said of its workers."""


class Unwritable(Refused):
	"""The journal cannot be written. Raised only before anything is stopped; a later failure does not end a restart."""


class Unreadable(RestartError):
	"""The journal cannot be read now: another process has locked it for too long, or the file is damaged."""


class JobsStillRunning(RestartError):
	"""Jobs did not finish in time. Nothing was interrupted, the bench works as before."""

	exit_code = 3


class Blocked(RestartError):
	"""Another restart is running, or something objected. Nothing was touched."""

	exit_code = 4


class Cancelled(RestartError):
	"""A person asked to stop before anything was replaced. The bench works as before."""

	exit_code = 5


class Unreachable(RestartError):
	"""The process manager or Redis does not answer now, and may answer later."""


COMPLETED = 0
COMPLETED_WITH_WARNINGS = 6
