"""helper.log: what the helper did and what went wrong, with the time and the request of each line.

The file is rotated when a helper starts, not while one runs: two helpers may write it at the same time, one of which only
watches the last workers with a job, and each goes on in the file that it has opened.
"""

import logging
import os
import sys
from pathlib import Path
from typing import BinaryIO

LOG_BYTES = 1_000_000  # some ten thousand restarts; the file before it is kept as helper.log.1
FORMAT = "%(asctime)s %(levelname)s %(request)s %(message)s"

log = logging.getLogger("safe_restart")


def open_log(folder: Path) -> BinaryIO:
	"""Open the log for a helper that is about to start; readable by its owner alone. Raises OSError."""
	path = folder / "helper.log"
	if path.exists() and path.stat().st_size > LOG_BYTES:
		os.replace(path, path.with_name("helper.log.1"))
	return open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))


def begin_logging(request_id: str) -> None:
	"""Let this process, a helper, log to its standard error, which is the file that `open_log` opened."""
	handler = logging.StreamHandler(sys.stderr)
	handler.setFormatter(logging.Formatter(FORMAT, defaults={"request": request_id}))
	log.addHandler(handler)
	log.setLevel(logging.INFO)
	logging.raiseExceptions = False  # the log may be on a full disk, and the restart goes on without it
