// Package plain is what Pregón is compared with: a campaign as the queue library's introduction teaches it. One task
// per row, a handler that posts it, and an error that makes the library try again. It is run in the same storms, and
// what it sends twice is counted in the same way.
package plain

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq" //nolint:depguard // it is what Pregón is compared with: arrows_test.go allows it here
	"golang.org/x/time/rate"
)

// The roles that a program with this package may be started in, as its only argument.
const (
	Worker   = "plain-worker"
	Launcher = "plain-launcher"
)

// The environment that both roles read, beside the CONTACTOVIRTUAL_ variables.
const (
	RedisVar       = "PLAIN_REDIS"       // host:port
	FileVar        = "PLAIN_FILE"        // of the launcher: a CSV with a header, the phone first
	RateVar        = "PLAIN_RATE"        // of the worker: messages per second, for this process alone
	ConcurrencyVar = "PLAIN_CONCURRENCY" // of the worker
)

// Role is the role that a command line asks for, or "".
func Role(args []string) string {
	if len(args) == 2 && (args[1] == Worker || args[1] == Launcher) {
		return args[1]
	}
	return ""
}

const (
	taskType = "plain:send"
	retries  = 1000
	patience = 3 * time.Second // for an answer, as long as Pregón's workers wait in these runs
)

type message struct {
	Mobile string   `json:"mobile"`
	Vars   []string `json:"vars"`
}

// Run plays a role to its end and returns the exit status.
func Run(ctx context.Context, role string, environ []string, stderr io.Writer) int {
	env := make(map[string]string)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	play := launch
	if role == Worker {
		play = work
	}
	if err := play(ctx, env, stderr); err != nil {
		_, _ = fmt.Fprintln(stderr, "plain:", err)
		return 1
	}
	return 0
}

// launch makes one task per row of the file.
func launch(_ context.Context, env map[string]string, _ io.Writer) (err error) {
	f, err := os.Open(env[FileVar])
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return err
	}
	client := asynq.NewClient(asynq.RedisClientOpt{Addr: env[RedisVar]})
	defer func() { err = errors.Join(err, client.Close()) }()
	for _, row := range rows[1:] {
		payload, err := json.Marshal(message{Mobile: "57" + row[0], Vars: row[1:]})
		if err != nil {
			return err
		}
		if _, err := client.Enqueue(asynq.NewTask(taskType, payload, asynq.MaxRetry(retries))); err != nil {
			return err
		}
	}
	return nil
}

// work handles tasks until SIGTERM.
func work(ctx context.Context, env map[string]string, stderr io.Writer) error {
	concurrency, err := strconv.Atoi(env[ConcurrencyVar])
	if err != nil {
		return fmt.Errorf("%s: %w", ConcurrencyVar, err)
	}
	perSecond, err := strconv.ParseFloat(env[RateVar], 64)
	if err != nil {
		return fmt.Errorf("%s: %w", RateVar, err)
	}
	h := &handler{
		client: &http.Client{Timeout: patience}, pace: rate.NewLimiter(rate.Limit(perSecond), 1),
		url:   env["CONTACTOVIRTUAL_URL"] + "/bot/chat_wa/ws/send/",
		login: env["CONTACTOVIRTUAL_LOGIN"], token: env["CONTACTOVIRTUAL_TOKEN"],
	}
	server := asynq.NewServer(asynq.RedisClientOpt{Addr: env[RedisVar]}, asynq.Config{
		Concurrency: concurrency, LogLevel: asynq.ErrorLevel,
	})
	if err := server.Start(h); err != nil {
		return err
	}
	slog.New(slog.NewJSONHandler(stderr, nil)).InfoContext(ctx, "worker started")
	<-ctx.Done()
	server.Shutdown()
	return nil
}

// handler sends one row.
type handler struct {
	client            *http.Client
	pace              *rate.Limiter
	url, login, token string
}

// ProcessTask posts a message. Whatever goes wrong is an error, and the library tries again.
func (h *handler) ProcessTask(ctx context.Context, t *asynq.Task) error {
	var m message
	if err := json.Unmarshal(t.Payload(), &m); err != nil {
		return err
	}
	if err := h.pace.Wait(ctx); err != nil {
		return err
	}
	form := url.Values{
		"login": {h.login}, "token": {h.token}, "mobile": {m.Mobile}, "id_template": {"991"},
		"template_variables": {"[" + strings.Join(m.Vars, "] [") + "]"},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := h.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var said struct {
		Code int `json:"code"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&said); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || said.Code != 1 {
		return fmt.Errorf("status %d, code %d", response.StatusCode, said.Code)
	}
	return nil
}
