package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkClaimed claims and settles. "sync each" is what "file" would be without batches.
func BenchmarkClaimed(b *testing.B) {
	claim := func(b *testing.B, j *Journal) func(row int) {
		return func(row int) {
			c := someClaim("promo-3f9a2c", row)
			if err := j.Claimed(c); err != nil {
				b.Error(err)
			}
			j.Settled(c, someOutcome(row))
		}
	}
	b.Run("memory", func(b *testing.B) { together(b, 1, claim(b, openIn(b, ""))) })
	for _, goroutines := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("file/%d", goroutines), func(b *testing.B) {
			together(b, goroutines, claim(b, openIn(b, b.TempDir())))
		})
	}
	b.Run("sync each/64", func(b *testing.B) {
		f, err := os.OpenFile(filepath.Join(b.TempDir(), "f"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		var mu sync.Mutex
		together(b, 64, func(row int) {
			c := someClaim("promo-3f9a2c", row)
			claim, outcome := claimLine(claimed, c), outcomeLine(c, someOutcome(row))
			mu.Lock()
			defer mu.Unlock()
			for _, err := range []error{write(f, claim.encode()), datasync(f), write(f, outcome.encode())} {
				if err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func write(f *os.File, text []byte) error {
	_, err := f.Write(text)
	return err
}

func together(b *testing.B, goroutines int, each func(row int)) {
	b.ReportAllocs()
	var last atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for range goroutines {
		all.Go(func() {
			for row := last.Add(1); row <= int64(b.N); row = last.Add(1) {
				each(int(row))
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "claims/s")
}

// BenchmarkRotate is how long claims wait when a full journal begins a new file.
func BenchmarkRotate(b *testing.B) {
	j := openIn(b, "")
	for row := range usual.most {
		mustClaim(b, j, someClaim("promo-3f9a2c", 2+row))
		j.Settled(someClaim("promo-3f9a2c", 2+row), someOutcome(row))
	}
	s := &segments{dir: b.TempDir(), grow: usual.segment}
	for b.Loop() {
		if err := s.rotate(j.carried()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(s.good)/1e6, "MB")
	if err := s.close(); err != nil {
		b.Error(err)
	}
}

// BenchmarkOpen reads a full journal and begins a file of its own.
func BenchmarkOpen(b *testing.B) {
	dir := leave(b, "")
	j := openIn(b, "")
	for row := range usual.most {
		mustClaim(b, j, someClaim("promo-3f9a2c", 2+row))
		j.Settled(someClaim("promo-3f9a2c", 2+row), someOutcome(row))
	}
	s := &segments{dir: filepath.Join(dir, "0")}
	if err := s.rotate(j.carried()); err != nil {
		b.Fatal(err)
	}
	if err := s.close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		mustClose(b, mustOpen(b, dir, usual))
	}
}
