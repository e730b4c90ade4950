// Package redistest gives tests a Redis: the same test runs on miniredis and on a real redis-server of its own.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Each runs f on miniredis and on a real Redis. Without redis-server on PATH the second is skipped, and fails when
// PREGON_REQUIRE_ALL is set.
func Each(t *testing.T, f func(t *testing.T, rdb redis.UniversalClient)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) { f(t, Client(t, miniredis.RunT(t).Addr())) })
	t.Run("redis", func(t *testing.T) { f(t, Client(t, Start(t))) })
}

// Client connects to addr until the test ends.
func Client(t testing.TB, addr string) redis.UniversalClient {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// Start runs a redis-server with an append-only file on a free port of loopback until the test ends, and returns its
// address.
func Start(t testing.TB, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("PREGON_REQUIRE_ALL") != "" {
			t.Fatal("redis-server is not on PATH, and PREGON_REQUIRE_ALL asks for it")
		}
		t.Skip("left out: real Redis (no redis-server on PATH)")
	}
	port := freePort(t)
	cmd := exec.Command(path, append([]string{
		"--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "yes",
		"--appendfsync", "everysec", "--maxmemory-policy", "noeviction",
	}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start redis-server: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	addr := net.JoinHostPort("127.0.0.1", port)
	if err := ready(addr); err != nil {
		t.Fatal(err)
	}
	return addr
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	return port
}

// ready waits for the first PONG: the client redials by itself until the context ends.
func ready(addr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	rdb := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer func() { _ = rdb.Close() }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := rdb.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("redis-server on %s does not answer: %w", addr, errors.Join(err, ctx.Err()))
		case <-tick.C:
		}
	}
}
