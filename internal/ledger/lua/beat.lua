-- BEAT: a worker says that it is at work on a campaign, and learns whether Redis is the one it knew.
-- KEYS: control, workers, expected, asserted. ARGV: worker; run for which it has said again what it did ('' if none);
-- ms for which the others are waited for at least; ms of silence after which a worker that only has its memory is given up,
-- and ms for which it is waited for however long it has been silent: Redis may have been away for longer.
-- Answers OK, ASSERT run, or WAIT ms-since name… while others have not said theirs.
--
-- A restart or a failover may have lost Redis's newest writes: claims and results that workers know and it does not. So
-- nobody may claim in a new run until all who were at work at its beginning have said again what they did. What Redis
-- kept of an append-only file or a replica is a beginning of it: a worker whose last beat lies well before the newest one
-- kept was silent by then, and what it did is kept. Names that begin with j keep a journal: such a worker can still say
-- what it did after it died, and is waited for. One that begins with w has only its memory.
--
-- Invariants: the epoch becomes the run only when nobody is expected any more; a worker is never taken off by another
-- before its time, nor by another restart, nor while it is heard of; who has not said yet what it did is asked, also
-- when it comes after the others went on.
local worker, said, least, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local few = tonumber(ARGV[5])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local control = redis.call('HMGET', KEYS[1], 'epoch', 'barrier', 'barrier_at')
local run = this_run()

if run ~= control[1] and run ~= '' then
  local since = tonumber(control[3] or '0')
  if control[2] ~= run then
    redis.call('DEL', KEYS[4])
    if not control[2] then
      redis.call('DEL', KEYS[3]) -- otherwise Redis went again while some were waited for: they still are
    end
    local newest = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
    if newest[2] then
      for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], tonumber(newest[2]) - 5000, '+inf')) do
        redis.call('SADD', KEYS[3], name)
      end
    end
    since = now
    redis.call('HSET', KEYS[1], 'barrier', run, 'barrier_at', string.format('%.0f', now))
  end
  if said == run then
    redis.call('SREM', KEYS[3], worker)
    redis.call('SADD', KEYS[4], worker)
  elseif redis.call('SISMEMBER', KEYS[4], worker) == 0
    and (string.sub(worker, 1, 1) == 'j' or redis.call('ZSCORE', KEYS[2], worker)) then
    redis.call('SADD', KEYS[3], worker) -- one that Redis never knew, with its memory only, has just begun: not waited for
  end
  redis.call('ZADD', KEYS[2], now, worker)
  local expected = redis.call('SMEMBERS', KEYS[3])
  if now - since > few then
    for i = #expected, 1, -1 do
      local beat = tonumber(redis.call('ZSCORE', KEYS[2], expected[i]) or '0')
      if string.sub(expected[i], 1, 1) == 'w' and now - beat > most then
        redis.call('SREM', KEYS[3], expected[i])
        table.remove(expected, i)
      end
    end
  end
  if said ~= run then
    return { 'ASSERT', run }
  end
  if #expected > 0 or now - since < least then
    table.insert(expected, 1, string.format('%.0f', now - since))
    table.insert(expected, 1, 'WAIT')
    return expected
  end
  redis.call('HSET', KEYS[1], 'epoch', run)
  redis.call('HDEL', KEYS[1], 'barrier', 'barrier_at')
  redis.call('DEL', KEYS[3], KEYS[4])
end
redis.call('ZADD', KEYS[2], now, worker)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 600000)
if run ~= '' and said ~= run then
  return { 'ASSERT', run } -- nobody waited for this worker, but what it knows still counts
end
return { 'OK' }
