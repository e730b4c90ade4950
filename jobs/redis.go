package jobs

import (
	"context"
	"crypto/sha1" //nolint:gosec // it is how Redis names scripts, not a secret
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// finish lets a script that was begun come to its end. asynq retries a failed acknowledgement with a context that
// it has already cancelled, so one hiccup of Redis would make it run the same task again a minute later; without
// the cancellation its own retry works.
type finish struct{}

// finishTimeout bounds a script whose own deadline was taken away.
const finishTimeout = 5 * time.Second

// Hook prepares a client for asynq: call it once on the client that servers and clients share.
func Hook(rdb redis.UniversalClient) { rdb.AddHook(finish{}) }

func (finish) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (finish) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		switch cmd.Name() {
		case "evalsha", "eval":
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
			defer cancel()
		}
		return next(ctx, cmd)
	}
}

func (finish) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// recorder stands in for a Redis client under asynq.Client and collects the scripts that it runs, so that many
// hints go out in one pipeline. It knows nothing of asynq's keys: only that enqueueing is one script which answers
// 1 for "added" and 0 for "there already".
type recorder struct {
	redis.UniversalClient

	mu    sync.Mutex
	texts map[string]string // script texts by digest
	batch []recorded
}

type recorded struct {
	digest string
	keys   []string
	args   []any
}

func newRecorder(rdb redis.UniversalClient) *recorder {
	return &recorder{UniversalClient: rdb, texts: make(map[string]string)}
}

// noScript is what Redis says of a digest it does not know: the caller then hands over the text.
type noScript struct{}

func (noScript) Error() string { return "NOSCRIPT No matching script. Please use EVAL." }
func (noScript) RedisError()   {}

// EvalSha records a script call and answers that it added its task.
func (r *recorder) EvalSha(ctx context.Context, digest string, keys []string, args ...any) *redis.Cmd {
	r.mu.Lock()
	defer r.mu.Unlock()
	cmd := redis.NewCmd(ctx)
	if _, known := r.texts[digest]; !known {
		cmd.SetErr(noScript{})
		return cmd
	}
	r.batch = append(r.batch, recorded{digest, keys, args})
	cmd.SetVal(int64(1))
	return cmd
}

// Eval learns a script's text and records the call.
func (r *recorder) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	sum := sha1.Sum([]byte(script)) //nolint:gosec // as above
	digest := hex.EncodeToString(sum[:])
	r.mu.Lock()
	r.texts[digest] = script
	r.mu.Unlock()
	return r.EvalSha(ctx, digest, keys, args...)
}

// Flush runs what was recorded as one pipeline and returns how many tasks were new. After an error some may have been
// added: recording them again is safe, since a task that is there already is left alone.
func (r *recorder) Flush(ctx context.Context) (added int, err error) {
	r.mu.Lock()
	batch := r.batch
	r.batch = nil
	texts := maps.Clone(r.texts)
	r.mu.Unlock()
	if len(batch) == 0 {
		return 0, nil
	}
	// The first call of each script carries its text, so that a Redis that has forgotten it learns it again.
	sent := make(map[string]bool)
	results, err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, c := range batch {
			if sent[c.digest] {
				p.EvalSha(ctx, c.digest, c.keys, c.args...)
				continue
			}
			sent[c.digest] = true
			p.Eval(ctx, texts[c.digest], c.keys, c.args...)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("enqueue %d hints: %w", len(batch), err)
	}
	for _, cmd := range results {
		n, ok := cmd.(*redis.Cmd).Val().(int64)
		if !ok {
			return added, errors.New("enqueue hints: the script answered no number")
		}
		if n == 1 {
			added++
		}
	}
	return added, nil
}
