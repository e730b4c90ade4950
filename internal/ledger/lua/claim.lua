-- CLAIM: take the right to send one row, once.
-- KEYS: the seven of record.lua, then void:<nonce>. ARGV: row, nonce, time to live in ms, country.
-- Answers a word and what goes with it:
--   GO fence tries deadline | BUSY ms | WAIT due | DONE state code | IN_DOUBT code | CLOSED state reason | WINDOW | VOID | CORRUPT
--
-- Invariants: GO for a nonce answers GO again for the same nonce and to no other until the row is released or settled;
-- each new GO raises the fence; a row whose deadline has gone is never given again, it becomes in doubt; no GO unless
-- the control key says running and the country is open now; no GO for a nonce that was released.
local row, nonce, ttl, country = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local rec = read(row)
if not rec then
  return { 'CORRUPT' }
end
if rec.st == 's' then
  if now >= rec.due then
    write(row, rec, changed(rec, { st = 'd', code = 'worker_lost' }))
    return { 'IN_DOUBT', 'worker_lost' }
  end
  if rec.ref == nonce then
    return { 'GO', rec.fence, rec.tries, rec.due }
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
if rec.st == 'w' and now < rec.due then
  return { 'WAIT', rec.due }
end
local open = redis.call('HMGET', CONTROL, 'open:' .. country, 'open:*')
local closes = tonumber(open[1] or open[2] or '0')
if now >= closes then
  return { 'WINDOW' }
end
if redis.call('EXISTS', KEYS[8]) == 1 then
  return { 'VOID' }
end
local new = changed(rec, { st = 's', fence = rec.fence + 1, due = now + ttl, ref = nonce })
write(row, rec, new)
return { 'GO', new.fence, new.tries, new.due }
