-- EXPIRE: a claim whose deadline has gone without a settle is in doubt. Part of the sweep.
-- KEYS: the seven of record.lua. ARGV: row. Answers IN_DOUBT, ALIVE or CORRUPT.
--
-- Invariants: nothing but an overdue `sending` changes; nothing is ever queued again here.
local row = ARGV[1]
local rec = read(row)
if not rec then
  return { 'CORRUPT' }
end
if rec.st ~= 's' or now < rec.due then
  return { 'ALIVE' }
end
write(row, rec, changed(rec, { st = 'd', code = 'worker_lost' }))
return { 'IN_DOUBT' }
