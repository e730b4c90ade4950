package simulator

import (
	"sync"
	"time"
)

// Rate says how densely sends came, over every POST to a send path whatever became of it.
type Rate struct {
	MaxIn1s int   `json:"max_in_1s"` // the most sends within any one second; two sends exactly 1 s apart share none
	Total   int   `json:"total"`
	FirstMS int64 `json:"first_ms"` // milliseconds since 1970; 0 before the first send
	LastMS  int64 `json:"last_ms"`
}

// window holds the instants of the last second, oldest first. Its memory follows the rate, never the total.
type window struct {
	times []time.Duration // instants since an arbitrary origin, never decreasing
	head  int             // times[:head] are over
}

// slide forgets what is a second old or older and returns how many instants are left.
func (w *window) slide(now time.Duration) int {
	for w.head < len(w.times) && now-w.times[w.head] >= time.Second {
		w.head++
	}
	if w.head > 64 && w.head > len(w.times)/2 {
		w.times = w.times[:copy(w.times, w.times[w.head:])]
		w.head = 0
	}
	return len(w.times) - w.head
}

func (w *window) add(now time.Duration) { w.times = append(w.times, now) }

// traffic measures the rate of sends and enforces the limit on it.
type traffic struct {
	mu       sync.Mutex
	origin   time.Time
	all      window // every send, for the oracle
	admitted window // sends that were let through, for the limit
	rate     Rate
}

// arrive records one send and says whether the limit, in sends per second, admits it; 0 admits everything. The clock
// is read under the lock, so that instants never decrease.
func (t *traffic) arrive(limit int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := time.Now()
	if t.rate.Total == 0 {
		t.origin = at
		t.rate.FirstMS = at.UnixMilli()
	}
	now := at.Sub(t.origin)
	t.rate.Total++
	t.rate.LastMS = at.UnixMilli()
	t.rate.MaxIn1s = max(t.rate.MaxIn1s, t.all.slide(now)+1)
	t.all.add(now)
	if limit == 0 {
		return true
	}
	if t.admitted.slide(now) >= limit {
		return false
	}
	t.admitted.add(now)
	return true
}

func (t *traffic) snapshot() Rate {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rate
}

func (t *traffic) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all, t.admitted, t.rate = window{}, window{}, Rate{}
}
