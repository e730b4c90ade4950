-- CLAIM: take the right to send one row, once.
-- KEYS: the nine of record.lua, then void:<nonce>. ARGV: row, nonce, time to live in ms, country.
-- Answers a word and what goes with it:
--   GO fence tries deadline probe | BUSY ms | WAIT due | DONE state code | IN_DOUBT code | CLOSED state reason | EPOCH |
--   PROBING | WINDOW | VOID | CORRUPT
--
-- Invariants: GO for a nonce answers GO again for the same nonce and to no other until the row is released or settled, and
-- never afterwards; each new GO raises the fence; a row whose deadline has gone is never given again, it becomes in doubt;
-- no GO unless the control key says running and the country is open now; no GO in a run of Redis in which the workers
-- have not said yet what they sent in the one before; no GO for a nonce that was released.
local row, nonce, ttl, country = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local rec = read(row)
if not rec then
  return { 'CORRUPT' }
end
if rec.st == 's' then
  if now >= rec.due then
    write(row, rec, lost(rec))
    return { 'IN_DOUBT', 'worker_lost' }
  end
  if rec.ref == nonce then
    return { 'GO', rec.fence, rec.tries, rec.due, redis.call('HGET', CONTROL, 'probe') == nonce and 1 or 0 }
  end
  return { 'BUSY', rec.due - now }
end
if rec.st == 'd' then
  return { 'IN_DOUBT', rec.code }
end
if rec.st ~= 'q' and rec.st ~= 'w' then
  return { 'DONE', NAMES[rec.st], rec.code }
end
if state == 'cancelled' then
  return { 'DONE', 'cancelled', '' }
end
if state ~= 'running' then
  return { 'CLOSED', state, reason }
end
local run = this_run()
if run ~= '' and run ~= control[3] then
  return { 'EPOCH' }
end
if rec.st == 'w' and now < rec.due then
  return { 'WAIT', rec.due }
end
local open = redis.call('HMGET', CONTROL, 'open:' .. country, 'open:*')
local closes = tonumber(open[1] or open[2] or '0')
if now >= closes then
  return { 'WINDOW' }
end
if rec.ref == nonce or redis.call('EXISTS', KEYS[10]) == 1 then
  return { 'VOID' }
end
local probe = 0
if control[4] then
  if tonumber(control[4]) <= 0 then
    return { 'PROBING' }
  end
  redis.call('HINCRBY', CONTROL, 'allow', -1)
  redis.call('HSET', CONTROL, 'probe', nonce)
  probe = 1
end
put_aside(row, rec)
local new = changed(rec, { st = 's', fence = rec.fence + 1, due = now + ttl, ref = nonce })
write(row, rec, new)
return { 'GO', new.fence, new.tries, new.due, probe }
