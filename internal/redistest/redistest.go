// Package redistest gives tests a Redis: the same test runs on miniredis and on a real redis-server of its own.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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
	return Serve(t, args...).Addr
}

// Server is a redis-server that a test may kill and start again, on the same port and with the same file.
type Server struct {
	Addr string

	t    testing.TB
	dir  string
	args []string
	cmd  *exec.Cmd
}

// Serve is Start for tests that need more than the address.
func Serve(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("PREGON_REQUIRE_ALL") != "" {
			t.Fatal("redis-server is not on PATH, and PREGON_REQUIRE_ALL asks for it")
		}
		t.Skip("left out: real Redis (no redis-server on PATH)")
	}
	port := freePort(t)
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", port), t: t, dir: t.TempDir()}
	s.args = append([]string{
		"--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "yes",
		"--appendfsync", "everysec", "--maxmemory-policy", "noeviction",
	}, args...)
	s.Restart()
	t.Cleanup(s.Kill)
	return s
}

// Restart starts the server with what its file holds.
func (s *Server) Restart() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", s.args...) //nolint:gosec // a test's own words
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("start redis-server: %v", err)
	}
	if err := ready(s.Addr); err != nil {
		s.t.Fatal(err)
	}
}

// Kill ends the server as a power cut does.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// Written is how long the append-only file is.
func (s *Server) Written() int64 {
	s.t.Helper()
	info, err := os.Stat(s.file())
	if err != nil {
		s.t.Fatal(err)
	}
	return info.Size()
}

// Forget cuts the append-only file of a dead server to what it was earlier.
func (s *Server) Forget(written int64) {
	s.t.Helper()
	if err := os.Truncate(s.file(), written); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) file() string {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(found) != 1 {
		s.t.Fatalf("append-only files %v: %v", found, err)
	}
	return found[0]
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
