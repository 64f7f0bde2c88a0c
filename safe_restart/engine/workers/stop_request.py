"""A worker program that was asked to stop: how, when, and whether it is gone."""

import time
from dataclasses import dataclass, field

from ..processes import tree
from ..processes.tree import ProcessHandle
from .fleet import WorkerProgram
from .stop_safety import StopAction

# Leaving takes an RQ worker 0.1 to 0.2 s, where it does not wait for its own thread.
LINGER_SECONDS = 0.3
# A worker that holds no job and has not gone by then never will: it is stopped (SIGSTOP) or hangs in the kernel.
HANG_SECONDS = 10


@dataclass
class StopRequest:
	"""A worker program that was asked to stop.

	process: the one that was asked; None where it had ended by then, or was not asked yet
	how: the means, in words for people
	was_busy: whether it had a job when it was asked
	at: when it was asked, in monotonic seconds
	was_killed: with its job, after its grace
	"""

	program: WorkerProgram
	process: ProcessHandle | None
	how: str
	was_busy: bool
	at: float = field(default_factory=time.monotonic)
	was_killed: bool = False

	@property
	def is_gone(self) -> bool:
		return self.process is None or not tree.is_alive(self.process)

	@property
	def hangs(self) -> bool:
		"""It lingers for so long that it will not leave by itself."""
		return self.lingers and time.monotonic() - self.at > HANG_SECONDS

	@property
	def lingers(self) -> bool:
		"""Whether it should have ended by now: it was asked while it provably held no job, so it can have none. False for
		pools, which end their children first."""
		is_alone = [worker.pid for worker in self.program.workers] == [self.program.main_pid]
		proven = self.how in (StopAction.UNBLOCK.value, StopAction.SIGNAL.value) and not self.was_busy
		return proven and is_alone and time.monotonic() - self.at > LINGER_SECONDS and not self.is_gone
