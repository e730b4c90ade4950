-- DECIDE: a person decides about a row: an in-doubt one counts as sent or is sent again, a failed one is tried again.
-- KEYS: the nine of record.lua, then audit, retried. ARGV: row, fence, decision (sent, resend or retry), who, 1 to retry a
-- row that was retried before.
-- Answers DONE, or NOT state when the row is not as the person saw it, BEFORE when it was retried already, CANCELLED.
--
-- Invariants: only the attempt that the person saw is decided about; no failed row is retried twice by accident; what was
-- decided, by whom and when, is written in the same step.
local row, fence, decision, who, again = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local rec = read(row)
if not rec then
  return { 'CORRUPT' }
end
if rec.fence ~= fence or rec.st ~= (decision == 'retry' and 'f' or 'd') then
  return { 'NOT', NAMES[rec.st] }
end
if state == 'cancelled' and decision ~= 'sent' then
  return { 'CANCELLED' }
end
if decision == 'retry' then
  if again ~= '1' and redis.call('SISMEMBER', KEYS[11], row) == 1 then
    return { 'BEFORE' }
  end
  redis.call('SADD', KEYS[11], row)
end
put_aside(row, rec)
if decision == 'sent' then
  write(row, rec, changed(rec, { st = 'a', code = 'decided_sent', class = 'person', ref = '' }))
else
  local new = { st = 'q', code = 'decided_' .. decision, class = 'person', ref = '' }
  if decision == 'retry' then
    new.tries = 0
  end
  write(row, rec, changed(rec, new))
  redis.call('HDEL', CONTROL, 'content') -- answers are counted anew: this row will have a second one
  reopen()
end
redis.call('RPUSH', KEYS[10], table.concat({ clock[1], decision, row, string.format('%.0f', fence), rec.code, who }, ' '))
return { 'DONE' }
