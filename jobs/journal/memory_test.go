package journal

import (
	"runtime"
	"testing"
)

// TestAnEntryTakesLittleMemory measures a full journal: a worker has one all day.
func TestAnEntryTakesLittleMemory(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	before := heap()
	j := openIn(t, "")
	for row := range usual.most {
		c := someClaim("promo-3f9a2c", 2+row)
		if err := j.Claimed(c); err != nil {
			t.Fatal(err)
		}
		j.Settled(c, someOutcome(row))
	}
	each := (heap() - before) / int64(usual.most)
	t.Logf("%d bytes per entry, %.1f MB in all", each, float64(each)*float64(usual.most)/1e6)
	if each > 400 {
		t.Errorf("an entry takes %d bytes", each)
	}
	runtime.KeepAlive(j)
}
