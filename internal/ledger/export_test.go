package ledger

// Silence is how long a worker may be silent before its claims are in doubt.
const Silence = silence

// ParseRecord and ParsePast read what the scripts write.
var (
	ParseRecord = parseRecord
	ParsePast   = parsePast
)
