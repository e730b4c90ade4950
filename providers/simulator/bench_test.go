package simulator_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"pregon/providers/simulator"
)

// discard is a response writer that keeps nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkSend measures the handler alone, from all cores at once.
func BenchmarkSend(b *testing.B) {
	sim := simulator.New(simulator.Options{Balance: 1 << 40, KeepMessages: 10_000})
	template := fields("573105560000").Encode()
	var n atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			phone := fmt.Sprintf("5731%04d2000", n.Add(1)%10_000)
			r := httptest.NewRequest(http.MethodPost, simulator.SendPath,
				strings.NewReader(strings.Replace(template, "573105560000", phone, 1)))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			sim.ServeHTTP(discard{http.Header{}}, r)
		}
	})
	checkBench(b, sim)
}

// BenchmarkSendOverTheNetwork adds a client and loopback connections, which share the cores with the simulator.
func BenchmarkSendOverTheNetwork(b *testing.B) {
	s := start(b, simulator.Options{Balance: 1 << 40, KeepMessages: 10_000})
	body := fields("573105562000").Encode()
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.post(b.Context(), simulator.SendPath, "application/x-www-form-urlencoded",
				strings.NewReader(body)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	checkBench(b, s.Server)
}

func checkBench(b *testing.B, sim *simulator.Server) {
	b.Helper()
	if arrived, _ := sim.Total(); arrived != b.N {
		b.Fatalf("%d of %d arrived", arrived, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sends/s")
}

// BenchmarkRememberedMessage shows how much memory a message costs for good when all phones differ.
func BenchmarkRememberedMessage(b *testing.B) {
	log := simulator.NewTestLog(0)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range b.N {
		log.Add(fmt.Sprintf("57310%07d", i), "0e1add43-f91c-4e7c-8805-221ef6b27b98")
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(b.N), "B-kept/msg")
	if total, _ := log.Count(); total != b.N {
		b.Fatal(total)
	}
}
