"""Slots: the places in which workers of containers are expected to come back, by the queues that they serve.

A container that is started anew may have another host name, address and pid. So the successor of a worker is the next
one that appears on the same queues, preferably on the same host. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..rq.snapshot import Worker


@dataclass
class Slot:
	"""A place for a worker. `last` is the worker in it or, where `is_held` is false, the worker that has left it."""

	name: str
	last: Worker
	is_held: bool = True


class Slots:
	"""The slots of one bench, filled anew with each snapshot of RQ."""

	def __init__(self) -> None:
		self.slots: list[Slot] = []

	def fill(self, workers: Iterable[Worker], prefix: str) -> list[Slot]:
		"""Fill the slots with the workers that live now, and return all slots.

		prefix: of the bench's queues, which is left out of the slots' names
		"""
		alive = {worker.name: worker for worker in workers}
		for slot in self.slots:
			slot.is_held = slot.last.name in alive
			slot.last = alive.pop(slot.last.name, slot.last)
		for worker in sorted(alive.values(), key=lambda worker: (worker.hostname, worker.pid)):
			if free := self.free_for(worker):
				free.last, free.is_held = worker, True
			else:
				self.slots.append(Slot(self.name_for(worker, prefix), worker))
		return self.slots

	def free_for(self, worker: Worker) -> Slot | None:
		"""The empty slot for a new worker; None where no empty one is for the same queues."""
		free = [
			slot for slot in self.slots if not slot.is_held and set(slot.last.queues) == set(worker.queues)
		]
		return next((slot for slot in free if slot.last.hostname == worker.hostname), next(iter(free), None))

	def name_for(self, worker: Worker, prefix: str) -> str:
		"""The name of a new slot for a worker, such as `short,default-2`."""
		alike = sum(set(slot.last.queues) == set(worker.queues) for slot in self.slots)
		return f"{','.join(queue.removeprefix(prefix) for queue in worker.queues)}-{alike + 1}"
