-- Release the delayed jobs that are due. Each job is released once, however many callers run this at the same time.
--
-- KEYS[1] sorted set of the bench's delayed jobs, by the time at which they are due
-- returns the ids that were put at the front of their queues
-- RQ's keys are spelled here as in rq/keys.py, which a script cannot import.
local now = tonumber(redis.call('TIME')[1])
local released = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1000)) do
	redis.call('ZREM', KEYS[1], id)
	local job = 'rq:job:' .. id
	-- A person or RQ's own scheduler may have queued the job already.
	if redis.call('HGET', job, 'status') == 'scheduled' then
		local origin = redis.call('HGET', job, 'origin')
		redis.call('ZREM', 'rq:scheduled:' .. origin, id)
		redis.call('HSET', job, 'status', 'queued')
		redis.call('SADD', 'rq:queues', 'rq:queue:' .. origin)
		redis.call('LPUSH', 'rq:queue:' .. origin, id)
		released[#released + 1] = id
	end
end
return released
