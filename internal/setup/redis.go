package setup

import (
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"pregon/internal/config"
)

// The client's limits. Servers, feeders and the ledger share one pool; a Redis that hangs is noticed within a second.
const (
	poolSize    = 64
	readTimeout = 3 * time.Second
	dialTimeout = 3 * time.Second
)

func (s *System) connect() error {
	url, err := config.ParseRedisURL(s.Config.RedisURL.Reveal())
	if err != nil {
		return err
	}
	o := &redis.UniversalOptions{
		Addrs: url.Hosts, DB: url.DB, Username: url.Username, Password: url.Password.Reveal(),
		PoolSize: poolSize, ReadTimeout: readTimeout, DialTimeout: dialTimeout,
	}
	if url.TLS {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	switch url.Scheme {
	case "redis-sentinel":
		o.MasterName = url.Master
	case "redis-cluster":
		o.IsClusterMode = true
	}
	s.Redis = redis.NewUniversalClient(o)
	s.closers = append(s.closers, func() { _ = s.Redis.Close() })
	return nil
}

// quiet keeps the Redis client from writing to the process's stderr by itself: what it reports comes back as an error
// too, and is said or logged once by whoever asked.
var quiet = sync.OnceFunc(logging.Disable)

// embeddedTick moves the clock of the Redis in the process: its keys expire only when it is told that time has
// passed.
const embeddedTick = 500 * time.Millisecond

// embed runs a Redis in this process.
func (s *System) embed() error {
	m := miniredis.NewMiniRedis()
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		return fmt.Errorf("start the embedded redis: %w", err)
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(embeddedTick)
		defer t.Stop()
		last := time.Now()
		for {
			select {
			case <-done:
				return
			case <-t.C: // some ticks are lost when the machine is busy or asleep
				now := time.Now()
				m.FastForward(now.Sub(last))
				last = now
			}
		}
	}()
	s.Redis = redis.NewClient(&redis.Options{Addr: m.Addr(), PoolSize: poolSize})
	s.closers = append(s.closers, func() {
		_ = s.Redis.Close()
		close(done)
		<-ended
		m.Close()
	})
	return nil
}
