package setup

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var broken atomic.Bool
	ready := func(context.Context) error {
		if broken.Load() {
			return errors.New("redis is away")
		}
		return nil
	}
	addr, err := ServeHealth(ctx, "127.0.0.1:0", ready, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	ask := func(path string) (int, string) {
		t.Helper()
		resp, err := (&http.Client{Transport: transport}).Get("http://" + addr.String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	for _, step := range []struct {
		broken bool
		path   string
		status int
		body   string
	}{
		{false, "/healthz", 200, "ok"}, {false, "/readyz", 200, "ready"},
		{true, "/healthz", 200, "ok"}, {true, "/readyz", 503, "redis is away"},
		{false, "/readyz", 200, "ready"}, {false, "/", 404, ""},
	} {
		broken.Store(step.broken)
		if status, body := ask(step.path); status != step.status || !strings.Contains(body, step.body) {
			t.Errorf("%+v: %d %q", step, status, body)
		}
	}
	if _, err := ServeHealth(ctx, addr.String(), ready, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("two listeners on one address")
	}
	cancel()
}
