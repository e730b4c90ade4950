package main

import (
	"context"
	"io"
	"testing"
)

// BenchmarkTurn is one turn of a contender, for its profile:
//
//	go test -run '^$' -bench 'Turn/send_pregon' -benchtime 3x -cpuprofile cpu.out
func BenchmarkTurn(b *testing.B) {
	const rows = 20_000
	s := newTestStand(b, "--rows", "20000", "--messages", "20000")
	path, err := s.contacts(rows)
	if err != nil {
		b.Fatal(err)
	}
	p, err := s.startProvider(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.stop)
	t := sendTurns{stand: s, provider: p, path: path}
	one := func(turn func(context.Context, string, int) (sample, error)) func(context.Context) ([]sample, error) {
		return func(ctx context.Context) ([]sample, error) {
			took, err := turn(ctx, path, rows)
			return []sample{took}, err
		}
	}
	for _, c := range []contender{
		{"launch_pregon", one(s.launchTurn)}, {"launch_asynq", one(s.enqueueTurn)},
		{"send_pregon", t.pregon}, {"send_asynq", t.plain}, {"send_loop", t.loop},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				samples, err := c.run(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(samples[0].perSecond(), "rows/s")
			}
		})
	}
}

// newTestStand sets up what the command line says, until the test ends.
func newTestStand(t testing.TB, args ...string) *stand {
	t.Helper()
	needRedis(t)
	o, err := parseOptions(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStand(context.WithoutCancel(t.Context()), o, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
