package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// startRedis runs a redis-server on a free port of loopback, with its data in dir. It is set as docker-compose.yml sets
// the real one, but that it never rewrites its append-only file: a rewrite would slow whoever has the turn.
func startRedis(ctx context.Context, dir string, o options) (addr string, stop func() error, err error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", nil, fmt.Errorf("a Redis to measure on is needed: install redis-server: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	args := []string{
		"--bind", "127.0.0.1", "--port", port, "--dir", dir, "--logfile", filepath.Join(dir, "redis.log"), "--save", "",
		"--appendonly", "yes", "--appendfsync", o.fsync, "--auto-aof-rewrite-percentage", "0",
		"--maxmemory-policy", "noeviction",
	}
	if !o.stockRedis {
		args = append(args, "--hash-max-listpack-entries", "256", "--hash-max-listpack-value", "128")
	}
	cmd := exec.Command(path, args...) //nolint:gosec,noctx // found on PATH; ended below, after its clients are
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start redis-server: %w", err)
	}
	stop = func() error {
		_ = cmd.Process.Kill() // an error means that it has ended
		_ = cmd.Wait()         // "signal: killed"
		return nil
	}
	addr = net.JoinHostPort("127.0.0.1", port)
	if err := ready(ctx, addr); err != nil {
		return "", nil, errors.Join(err, stop())
	}
	return addr, stop, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return port, nil
}

// ready waits for the first PONG.
func ready(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	rdb := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer func() { _ = rdb.Close() }()
	var last error
	err := until(ctx, 5*time.Millisecond, func() (bool, error) {
		last = rdb.Ping(ctx).Err()
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("redis-server does not answer: %w", errors.Join(last, err))
	}
	return nil
}

// clear empties Redis, for the next turn.
func (s *stand) clear(ctx context.Context) error {
	if err := s.rdb.FlushAll(ctx).Err(); err != nil {
		return fmt.Errorf("empty redis: %w", err)
	}
	return nil
}

// info reads one figure that Redis tells of itself.
func (s *stand) info(ctx context.Context, section, name string) (string, error) {
	text, err := s.rdb.Info(ctx, section).Result()
	if err != nil {
		return "", fmt.Errorf("ask redis for %s: %w", name, err)
	}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			return value, nil
		}
	}
	return "", fmt.Errorf("redis does not tell its %s", name)
}

// redisCPU is the CPU time that Redis has used so far.
func (s *stand) redisCPU(ctx context.Context) (time.Duration, error) {
	var total float64
	for _, name := range []string{"used_cpu_sys", "used_cpu_user"} {
		text, err := s.info(ctx, "cpu", name)
		if err != nil {
			return 0, err
		}
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, fmt.Errorf("read redis's %s: %w", name, err)
		}
		total += seconds
	}
	return time.Duration(total * float64(time.Second)), nil
}

// usedMemory is what Redis's data takes in bytes: used_memory without the buffers of its clients' connections and of
// the append-only file, once two readings agree.
func (s *stand) usedMemory(ctx context.Context) (int, error) {
	last := -1
	err := until(ctx, 200*time.Millisecond, func() (bool, error) {
		now := 0
		for name, sign := range map[string]int{"used_memory": 1, "mem_clients_normal": -1, "mem_aof_buffer": -1} {
			text, err := s.info(ctx, "memory", name)
			if err != nil {
				return false, err
			}
			n, err := strconv.Atoi(text)
			if err != nil {
				return false, fmt.Errorf("read redis's %s: %w", name, err)
			}
			now += sign * n
		}
		settled := last >= 0 && max(now, last)-min(now, last) <= settledWithin
		last = now
		return settled, nil
	})
	return last, err
}

// settledWithin is how many bytes two readings of an idle Redis may differ by: the three figures are read one by one.
const settledWithin = 64 << 10
