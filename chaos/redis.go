package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// store is a redis-server of a run's own: it can be killed, started again on the same port and directory, made to
// forget, filled up and paused.
type store struct {
	dir   string
	port  string
	fsync string // appendfsync
	diary *diary
	rdb   *redis.Client

	mu      sync.Mutex
	process *exec.Cmd
	ended   chan struct{} // closed when the present process has ended
}

const redisPatience = 20 * time.Second

// startStore starts an empty Redis. Its append-only file is never rewritten, so that its tail is what was written last.
func startStore(ctx context.Context, dir, fsync string, d *diary) (*store, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, fmt.Errorf("a real Redis is needed: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &store{dir: dir, port: port, fsync: fsync, diary: d}
	s.rdb = redis.NewClient(&redis.Options{Addr: s.addr(), MaxRetries: -1, PoolSize: 4})
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *store) addr() string { return net.JoinHostPort("127.0.0.1", s.port) }

// start starts the process and waits until it has loaded its file. It ignores SIGXFSZ, so that a limit on the size of
// its files looks to it like a full disk.
func (s *store) start(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "redis.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	args := []string{
		"-c", `trap '' XFSZ; exec redis-server "$@"`, "redis",
		"--port", s.port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "yes",
		"--appendfsync", s.fsync, "--aof-load-truncated", "yes", "--auto-aof-rewrite-percentage", "0",
		"--maxmemory-policy", "noeviction",
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "sh", args...) //nolint:gosec // our own words only
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start redis-server: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(ended)
	}()
	s.mu.Lock()
	s.process, s.ended = cmd, ended
	s.mu.Unlock()
	s.diary.note("redis started", "pid", cmd.Process.Pid, "port", s.port)
	return s.ready(ctx)
}

func (s *store) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, redisPatience)
	defer cancel()
	return until(ctx, 5*time.Millisecond, "redis answers", func() bool {
		return s.rdb.Ping(ctx).Err() == nil
	})
}

// kill is kill -9: what Redis had not written is gone.
func (s *store) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill()
	<-s.ended
	s.process = nil
	s.diary.note("redis killed")
}

// gone is closed when the present process has ended.
func (s *store) gone() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

func (s *store) pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return 0
	}
	return s.process.Process.Pid
}

// restart kills Redis, leaves it away for a while, and starts it on what it had written.
func (s *store) restart(ctx context.Context, away time.Duration) error {
	s.kill()
	if err := pause(ctx, away); err != nil {
		return err
	}
	return s.start(ctx)
}

// forget cuts about the last n bytes off the append-only file: the newest writes, which Redis had confirmed, are lost.
// Redis must be down.
func (s *store) forget(n int, torn bool) error {
	if s.pid() != 0 {
		return errors.New("redis runs: its file must not be cut under it")
	}
	path, err := appendOnlyFile(s.dir)
	if err != nil {
		return err
	}
	cut, err := cutTail(path, n, torn)
	if err == nil {
		s.diary.note("aof cut", "bytes", cut, "torn", torn)
	}
	return err
}

// fill makes Redis refuse writes for want of memory; limit 0 ends that.
func (s *store) fill(ctx context.Context, limit int) error {
	s.diary.note("redis maxmemory", "bytes", limit)
	return s.rdb.ConfigSet(ctx, "maxmemory", fmt.Sprint(limit)).Err()
}

// hang makes Redis answer nobody for a while.
func (s *store) hang(ctx context.Context, d time.Duration) error {
	s.diary.note("redis paused", "ms", d.Milliseconds())
	return s.rdb.Do(ctx, "client", "pause", d.Milliseconds(), "all").Err()
}

// flushScripts makes Redis forget the scripts it was taught.
func (s *store) flushScripts(ctx context.Context) error {
	s.diary.note("redis script flush")
	return s.rdb.ScriptFlush(ctx).Err()
}

// limitFiles bounds the size of the files that Redis may write: at what its append-only file has, its disk is full.
// spare < 0 lifts the bound.
func (s *store) limitFiles(spare int64) error {
	limit := uint64(1<<64 - 1) // RLIM_INFINITY
	if spare >= 0 {
		path, err := appendOnlyFile(s.dir)
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		limit = uint64(info.Size() + spare)
	}
	s.diary.note("redis file size limited", "spare", spare)
	// Only the soft limit: without privileges a hard one could not be lifted again.
	return limitFileSize(s.pid(), limit)
}

func (s *store) close() {
	s.kill()
	_ = s.rdb.Close()
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}
