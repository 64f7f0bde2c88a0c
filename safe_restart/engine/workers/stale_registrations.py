"""Removing the registrations of workers that have no process any more."""

from ..rq.keys import WORKERS, worker_key, workers_of_queue_key
from .fleet import Fleet, FleetReader


def remove_stale_registrations(fleet_reader: FleetReader, fleet: Fleet) -> None:
	"""Remove the stale registrations of this fleet, which RQ would list for minutes (FACTS 1.10). Raises RedisError."""
	all_queues = [queue.name for queue in fleet.snapshot.queues]
	with fleet_reader.redis.pipeline() as pipe:
		for worker in fleet.stale:
			key = worker_key(worker.name)
			pipe.srem(WORKERS, key)
			for queue in worker.queues or all_queues:
				pipe.srem(workers_of_queue_key(queue), key)
			pipe.delete(key)
		pipe.execute()
