-- Compare and delete: end the suspension only if it still has our token.
-- KEYS[1] rq:suspended   ARGV[1] our token   returns 1 where it was ended
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
