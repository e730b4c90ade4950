-- FEED: move the cursor of the pages whose hints are in the queue, or raise the generation to hint the open rows anew.
-- KEYS: control. ARGV: generation the caller worked in, pages fed so far, rows fed so far; pages < 0 raises the generation.
-- Answers OK, or STALE when another worker raised the generation or is further already.
local control = redis.call('HMGET', KEYS[1], 'generation', 'fed_pages')
local generation, pages = tonumber(control[1] or '0'), tonumber(control[2] or '0')
if generation ~= tonumber(ARGV[1]) then
  return 'STALE'
end
if tonumber(ARGV[2]) < 0 then
  redis.call('HSET', KEYS[1], 'generation', generation + 1, 'fed_pages', 0, 'fed_rows', 0)
  return 'OK'
end
if tonumber(ARGV[2]) <= pages then
  return 'STALE'
end
redis.call('HSET', KEYS[1], 'fed_pages', ARGV[2], 'fed_rows', ARGV[3])
return 'OK'
