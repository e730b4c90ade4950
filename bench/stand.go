package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"
)

// stand is what all benchmarks stand on: a Redis of its own, a directory, the programs and files that were made for it.
type stand struct {
	options
	dir          string
	redisAddr    string
	redisVersion string
	rdb          redis.UniversalClient // for looking and clearing up; contenders have clients of their own
	log          io.Writer
	warnings     *slog.Logger // what workers warn of

	stopRedis func() error
	files     map[int]string
	programs  map[string]string
}

func newStand(ctx context.Context, o options, log io.Writer) (*stand, error) {
	dir, err := os.MkdirTemp("", "pregon-bench-*")
	if err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	s := &stand{
		options: o, dir: dir, log: log, files: make(map[int]string), programs: make(map[string]string),
		warnings: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	s.redisAddr, s.stopRedis, err = startRedis(ctx, dir, o)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s.rdb = s.connect()
	s.redisVersion, err = s.info(ctx, "server", "redis_version")
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stand) close() error {
	return errors.Join(s.rdb.Close(), s.stopRedis(), os.RemoveAll(s.dir)) //nolint:gosec // what newStand made
}

// poolSize is how many connections a program has to its Redis: what internal/setup gives Pregón's programs.
const poolSize = 64

// connect makes a Redis client as a program has one.
func (s *stand) connect() redis.UniversalClient {
	return redis.NewClient(&redis.Options{Addr: s.redisAddr, PoolSize: poolSize})
}

// contacts is the path of a campaign file of n rows.
func (s *stand) contacts(n int) (string, error) {
	if path, made := s.files[n]; made {
		return path, nil
	}
	path, err := writeContacts(s.dir, n)
	if err == nil {
		s.files[n] = path
	}
	return path, err
}

// program builds one of Pregón's commands, as make build does, and returns its path.
func (s *stand) program(ctx context.Context, name string) (string, error) {
	if path, built := s.programs[name]; built {
		return path, nil
	}
	path := filepath.Join(s.dir, name)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, "./cmd/"+name) //nolint:gosec // our own names
	cmd.Dir = s.root
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	s.programs[name] = path
	return path, nil
}

// until asks again and again whether something is so, seldom enough not to disturb what is measured.
func until(ctx context.Context, every time.Duration, so func() (bool, error)) error {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		yes, err := so()
		if yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}
