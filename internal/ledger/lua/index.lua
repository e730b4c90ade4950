-- INDEX: remember which row a message id belongs to, in a slice that expires as a whole.
-- KEYS: slice. ARGV: packed message id, campaign:row:fence, unix second at which the slice ends.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('TTL', KEYS[1]) < 0 then
  redis.call('EXPIREAT', KEYS[1], ARGV[3])
end
return 1
