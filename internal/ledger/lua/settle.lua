-- SETTLE: record what came of a claim.
-- KEYS: the seven of record.lua. ARGV: row, fence, letter of the new state (a f d w q), code, ms from now to
-- the earliest next try (w), tries to add, packed message id (a). Answers SETTLED, SAME, FENCED state or CORRUPT.
--
-- Invariants: only the attempt with this fence may write; a second settle with the same result changes nothing (SAME),
-- so that a lost answer can be asked again; a definite result resolves in_doubt, in_doubt never replaces a definite one;
-- what was settled definitely is never settled otherwise; a finished campaign whose row is open again runs again.
local row, fence, to, code = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local after, tries, ref = tonumber(ARGV[5]) or 0, tonumber(ARGV[6]) or 0, ARGV[7]
local rec = read(row)
if not rec then
  return { 'CORRUPT' }
end
if rec.fence ~= fence then
  return { 'FENCED', NAMES[rec.st] }
end
if rec.st == to then
  return { 'SAME' }
end
if rec.st ~= 's' and not (rec.st == 'd' and to ~= 'd') then
  return { 'FENCED', NAMES[rec.st] }
end
local due = 0
if to == 'w' then
  due = now + after
end
write(row, rec, changed(rec, { st = to, code = code, due = due, tries = rec.tries + tries, ref = ref }))
if state == 'finished' and (to == 'q' or to == 'w') then
  redis.call('HSET', CONTROL, 'state', 'running', 'reason', '', 'by', 'machine', 'since', clock[1])
  redis.call('HDEL', CONTROL, 'finished')
end
return { 'SETTLED' }
