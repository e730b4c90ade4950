package ledger_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// mortal is a real Redis that a test kills, robs of its newest writes, and starts again on the same port.
type mortal struct {
	t    *testing.T
	dir  string
	port string
	cmd  *exec.Cmd
	rdb  redis.UniversalClient
}

func newMortal(t *testing.T) *mortal {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("PREGON_REQUIRE_ALL") != "" {
			t.Fatal("redis-server is not on PATH, and PREGON_REQUIRE_ALL asks for it")
		}
		t.Skip("left out: real Redis (no redis-server on PATH)")
	}
	free, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(free.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	m := &mortal{t: t, dir: t.TempDir(), port: port}
	m.rdb = redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port})
	t.Cleanup(func() {
		_ = m.rdb.Close()
		m.kill()
	})
	m.start()
	return m
}

func (m *mortal) start() {
	m.t.Helper()
	m.cmd = exec.CommandContext(ctx, "redis-server", "--port", m.port, "--bind", "127.0.0.1", "--dir", m.dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0")
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for m.rdb.Ping(ctx).Err() != nil { // the client redials, a little later each time
		if time.Now().After(deadline) {
			m.t.Fatal("redis-server does not answer")
		}
	}
}

func (m *mortal) kill() {
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
}

// file is the append-only file that Redis writes to.
func (m *mortal) file() string {
	m.t.Helper()
	files, err := filepath.Glob(filepath.Join(m.dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) != 1 {
		m.t.Fatalf("append-only files: %v %v", files, err)
	}
	return files[0]
}

// size is how much Redis has written.
func (m *mortal) size() int64 {
	m.t.Helper()
	info, err := os.Stat(m.file())
	if err != nil {
		m.t.Fatal(err)
	}
	return info.Size()
}

// restart kills Redis and starts it with only the first bytes of what it had written.
func (m *mortal) restart(size int64) {
	m.t.Helper()
	m.kill()
	if err := os.Truncate(m.file(), size); err != nil {
		m.t.Fatal(err)
	}
	m.start()
}

// ago moves what a campaign knows of workers, and the beginning of its barrier, into the past: time that passes while
// they are silent. The barrier alone moves when no worker is named.
func (m *mortal) ago(id string, d time.Duration, workers ...string) {
	m.t.Helper()
	for _, w := range workers {
		if err := m.rdb.ZIncrBy(ctx, "pregon:{"+id+"}:workers", -float64(d.Milliseconds()), w).Err(); err != nil {
			m.t.Fatal(err)
		}
	}
	control := "pregon:{" + id + "}:control"
	if !m.rdb.HExists(ctx, control, "barrier_at").Val() {
		return
	}
	if err := m.rdb.HIncrBy(ctx, control, "barrier_at", -d.Milliseconds()).Err(); err != nil {
		m.t.Fatal(err)
	}
}
