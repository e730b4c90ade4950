package setup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// readyPatience is how long a readiness question may take: who asks has little more.
const readyPatience = 2 * time.Second

// ServeHealth answers on addr until ctx ends: /healthz while the process lives, /readyz while it can do its work, which
// ready says. It returns the address once it listens: addr may leave the port open.
func ServeHealth(
	ctx context.Context, addr string, ready func(context.Context) error, log *slog.Logger,
) (net.Addr, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on ADMIN_ADDR: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyPatience)
		defer cancel()
		if err := ready(ctx); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.ErrorContext(ctx, "health is no longer served", "err", err)
		}
	}()
	context.AfterFunc(ctx, func() {
		_ = server.Close() // questions have no consequences
		<-ended
	})
	return listener.Addr(), nil
}
