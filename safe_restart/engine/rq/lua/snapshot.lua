-- One consistent snapshot of the RQ of a bench, without side effects: RQ's own readers move expired jobs, delete
-- worker keys and rename the client (rq 1.15 to 3.0, FACTS 1.11), so only plain reads are used here.
--
-- ARGV[1]  the prefix of the bench's queues, with its separator
-- ARGV[2…] full names of queues that are known from the configuration
-- returns  JSON: {now, suspended, suspended_ttl_ms, workers, jobs, queues, other_queues, other_addresses}
-- RQ's keys are spelled here as in rq/keys.py, which a script cannot import.
local prefix = ARGV[1]

local WORKER_FIELDS = {'pid', 'hostname', 'ip_address', 'state', 'queues', 'current_job', 'birth', 'death',
	'last_heartbeat', 'shutdown_requested_date', 'version'}
-- Never `data`: it is pickled and may be large, and what only reads must not open it (FACTS 1.15).
local JOB_FIELDS = {'status', 'origin', 'description', 'created_at', 'enqueued_at', 'started_at', 'timeout',
	'worker_name', 'safe_restart_attempts'}

local function read(key, names)
	local values = redis.call('HMGET', key, unpack(names))
	local out = {}
	for i, name in ipairs(names) do
		if values[i] then out[name] = values[i] end
	end
	return out
end

-- A worker that was killed can leave a hash without its queues (FACTS 1.10). RQ's sets of workers by queue still list
-- it. Where no other bench is on this Redis, it can only be a worker of this bench.
local unnamed = {}

local function is_ours(queue) return string.sub(queue, 1, #prefix) == prefix end

-- Members of registries are the job id in rq 1.x and `<id>:<execution>` later; job ids may contain colons.
local function job_id_of(member)
	if redis.call('EXISTS', 'rq:job:' .. member) == 1 then return member end
	return string.match(member, '^(.*):[^:]*$') or member
end

local jobs, workers, queues, other_queues, other_addresses = {}, {}, {}, {}, {}

local function note_job(id)
	if not jobs[id] then jobs[id] = read('rq:job:' .. id, JOB_FIELDS) end
end

for _, key in ipairs(redis.call('SMEMBERS', 'rq:workers')) do
	local worker = read(key, WORKER_FIELDS)
	worker.key = key
	if not worker.current_job then
		-- rq 3 has no current_job in the worker hash (FACTS 1.13)
		local running = redis.call('SMEMBERS', key .. ':executions')
		if running[1] then worker.current_job = job_id_of(running[1]) end
	end
	local first = string.match(worker.queues or '', '^([^,]*)')
	if first == '' then
		unnamed[key] = worker
	elseif is_ours(first) then
		if worker.current_job then note_job(worker.current_job) end
		workers[#workers + 1] = worker
	else
		other_queues[first] = (other_queues[first] or 0) + 1
		other_addresses[#other_addresses + 1] = worker.ip_address
	end
end

local names = {}
for i = 2, #ARGV do names[ARGV[i]] = true end
for _, key in ipairs(redis.call('SMEMBERS', 'rq:queues')) do
	local name = string.sub(key, #'rq:queue:' + 1)
	if is_ours(name) then names[name] = true
	elseif not other_queues[name] then other_queues[name] = 0 end
end
for name in pairs(names) do
	for key, worker in pairs(unnamed) do
		if redis.call('SISMEMBER', 'rq:workers:' .. name, key) == 1 then
			workers[#workers + 1] = worker
			unnamed[key] = nil
		end
	end
	local started = {}
	for _, member in ipairs(redis.call('ZRANGE', 'rq:wip:' .. name, 0, 999)) do
		local id = job_id_of(member)
		note_job(id)
		started[#started + 1] = id
	end
	queues[#queues + 1] = {
		name = name,
		depth = redis.call('LLEN', 'rq:queue:' .. name),
		intermediate = redis.call('LLEN', 'rq:queue:' .. name .. ':intermediate'),
		scheduled = redis.call('ZCARD', 'rq:scheduled:' .. name),
		deferred = redis.call('ZCARD', 'rq:deferred:' .. name),
		failed = redis.call('ZCARD', 'rq:failed:' .. name),
		started = started,
	}
end

if not next(other_queues) then
	for _, worker in pairs(unnamed) do workers[#workers + 1] = worker end
end

local time = redis.call('TIME')
return cjson.encode({
	now = time[1] + time[2] / 1000000,
	suspended = redis.call('GET', 'rq:suspended'),
	suspended_ttl_ms = redis.call('PTTL', 'rq:suspended'),
	workers = workers, jobs = jobs, queues = queues, other_queues = other_queues,
	other_addresses = other_addresses,
})
