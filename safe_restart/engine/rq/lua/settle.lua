-- Decide what becomes of one job, atomically, and only if the job is still as it was found.
--
-- Job.requeue() refuses a started job. A job that is queued again while its entry in the started registry stays is
-- marked as failed by a later cleanup (seen on rq 2.6.1, FACTS 1.8). So all traces of the job go first, then its hash
-- is reset.
--
-- KEYS[1] set of the bench's held jobs   KEYS[2] sorted set of its delayed jobs, by the time at which they are due
-- ARGV[1] job id   ARGV[2] the status it was found in   ARGV[3] requeue, delay, hold or fail
-- ARGV[4] why   ARGV[5] who   ARGV[6] now, ISO 8601   ARGV[7] how often the job was interrupted so far,
-- or '' to leave that number as it is
-- ARGV[8] seconds of delay
-- returns 'done', or why nothing was done: 'gone', 'waiting' (the job waits in its queue), or its present status
-- RQ's keys and our fields are spelled here as in rq/keys.py, which a script cannot import.
local id, expected, action, why, who, at = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local held, delayed = KEYS[1], KEYS[2]
local job = 'rq:job:' .. id

local status = redis.call('HGET', job, 'status')
if not status then return 'gone' end
if status ~= expected then return status end

local origin = redis.call('HGET', job, 'origin')
local queue = 'rq:queue:' .. origin
local intermediate = queue .. ':intermediate'
-- Redis has LPOS from 6.0.6 on.
local function is_in(list)
	local place = redis.pcall('LPOS', list, id)
	if type(place) ~= 'table' or not place.err then return place end
	for _, waiting in ipairs(redis.call('LRANGE', list, 0, -1)) do
		if waiting == id then return true end
	end
	return false
end
if status == 'queued' and is_in(queue) then return 'waiting' end

-- Members of registries are the job id in rq 1.x and `<id>:<execution>` later. Ids may contain colons, so a member that
-- is itself the id of a job belongs to that other job.
local function is_its(member)
	if member == id then return true end
	if redis.call('EXISTS', 'rq:job:' .. member) == 1 then return false end
	return string.match(member, '^(.*):[^:]*$') == id
end
local worker = redis.call('HGET', job, 'worker_name')
for _, member in ipairs(redis.call('ZRANGE', 'rq:wip:' .. origin, 0, -1)) do
	if is_its(member) then
		redis.call('ZREM', 'rq:wip:' .. origin, member)
		redis.call('DEL', 'rq:execution:' .. member)
		if worker then redis.call('SREM', 'rq:worker:' .. worker .. ':executions', member) end
	end
end
redis.call('DEL', 'rq:executions:' .. id, intermediate .. ':first_seen:' .. id)
redis.call('LREM', intermediate, 0, id)
for _, registry in ipairs({'failed', 'deferred', 'scheduled'}) do
	redis.call('ZREM', 'rq:' .. registry .. ':' .. origin, id)
end
redis.call('SREM', held, id)
redis.call('ZREM', delayed, id)

redis.call('HDEL', job, 'worker_name', 'started_at', 'ended_at', 'last_heartbeat', 'exc_info')
redis.call('HSET', job, 'safe_restart_why', why, 'safe_restart_who', who, 'safe_restart_at', at)
if ARGV[7] ~= '' then redis.call('HSET', job, 'safe_restart_attempts', ARGV[7]) end
redis.call('PERSIST', job)

local now = tonumber(redis.call('TIME')[1])
if action == 'requeue' then
	redis.call('HSET', job, 'status', 'queued')
	redis.call('SADD', 'rq:queues', queue)
	redis.call('LPUSH', queue, id)
elseif action == 'delay' then
	redis.call('HSET', job, 'status', 'scheduled')
	redis.call('ZADD', 'rq:scheduled:' .. origin, now + ARGV[8], id)
	redis.call('ZADD', delayed, now + ARGV[8], id)
elseif action == 'hold' then
	-- Frappe and RQ show the job as deferred. Its score is infinite, so no cleanup touches it.
	redis.call('HSET', job, 'status', 'deferred')
	redis.call('ZADD', 'rq:deferred:' .. origin, '+inf', id)
	redis.call('SADD', held, id)
else
	local keep = tonumber(redis.call('HGET', job, 'failure_ttl') or 31536000) -- rq/defaults.py: one year
	redis.call('HSET', job, 'status', 'failed', 'exc_info', why, 'ended_at', at)
	-- A negative failure_ttl means for ever (rq/job.py: Job.cleanup); EXPIRE would delete the job at once.
	redis.call('ZADD', 'rq:failed:' .. origin, keep < 0 and '+inf' or now + keep, id)
	if keep >= 0 then redis.call('EXPIRE', job, keep) end
end
return 'done'
