-- Compare and delete: give back the suspension only if it is still ours.
-- KEYS[1] rq:suspended   ARGV[1] our token   returns 1 where it was ours
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
