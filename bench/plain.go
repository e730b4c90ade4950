package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq" //nolint:depguard // what Pregón is measured beside

	"pregon/providers"
	"pregon/providers/simulator"
)

// plainType and plainTask are the task of a program that somebody writes after asynq's README.
const plainType = "whatsapp:send"

type plainTask struct {
	Phone     string   `json:"phone"`
	Variables []string `json:"variables"`
}

// plainRetention keeps finished tasks, so that their ids are not free for a second message.
const plainRetention = 24 * time.Hour

// readPlain calls do with every row of the file, as encoding/csv gives it, header left out, rows counted from 2. The
// record is reused.
func readPlain(path string, do func(row int, record []string) error) (rows int, err error) {
	f, err := os.Open(path) //nolint:gosec // a file of our own
	if err != nil {
		return 0, fmt.Errorf("open campaign file: %w", err)
	}
	defer func() { _ = f.Close() }()
	r := csv.NewReader(f)
	r.ReuseRecord = true
	if _, err := r.Read(); err != nil {
		return 0, fmt.Errorf("read header: %w", err)
	}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, fmt.Errorf("read campaign file: %w", err)
		}
		if err := do(rows+2, record); err != nil {
			return rows, err
		}
		rows++
	}
}

// enqueuePlain reads the file and enqueues a task per row, one by one.
func (s *stand) enqueuePlain(ctx context.Context, path string) (rows int, err error) {
	client := asynq.NewClient(asynq.RedisClientOpt{Addr: s.redisAddr})
	defer func() { err = errors.Join(err, client.Close()) }()
	return readPlain(path, func(row int, record []string) error {
		payload, err := json.Marshal(plainTask{Phone: "57" + record[0], Variables: record[1:]})
		if err != nil {
			return fmt.Errorf("encode task: %w", err)
		}
		task := asynq.NewTask(plainType, payload)
		_, err = client.EnqueueContext(ctx, task, asynq.TaskID("bench:"+strconv.Itoa(row)), asynq.Retention(plainRetention))
		if err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
		return nil
	})
}

// plainHandler POSTs one message and stores the answer's id with the task.
type plainHandler struct {
	url  string
	http *http.Client
	done atomic.Int64
}

func newPlainHandler(url string, concurrency int) *plainHandler {
	return &plainHandler{
		url: url + "/bot/chat_wa/ws/send/",
		// Pregón's own client: Go's default one keeps two idle connections per host and would lose by that alone.
		http: providers.NewHTTPClient(providers.MaxConns(concurrency)),
	}
}

func (h *plainHandler) ProcessTask(ctx context.Context, t *asynq.Task) error {
	var task plainTask
	if err := json.Unmarshal(t.Payload(), &task); err != nil {
		return fmt.Errorf("decode task: %w", err)
	}
	id, err := h.post(ctx, task, t.ResultWriter().TaskID())
	if err != nil {
		return err
	}
	if _, err := t.ResultWriter().Write([]byte(id)); err != nil {
		return fmt.Errorf("store result: %w", err)
	}
	h.done.Add(1)
	return nil
}

// post sends the form that Pregón sends and returns the message id.
func (h *plainHandler) post(ctx context.Context, task plainTask, ref string) (string, error) {
	form := url.Values{
		"login": {simulator.DefaultLogin}, "token": {simulator.DefaultToken}, "id_template": {template},
		"template_variables": {"[" + strings.Join(task.Variables, "] [") + "]"}, "mobile": {task.Phone},
		"custom_field": {ref},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("post: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := h.http.Do(req)
	if err != nil {
		return "", fmt.Errorf("post: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Code      int    `json:"code"`
		MessageID string `json:"messageId"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	if answer.Code != 1 {
		return "", fmt.Errorf("answer has code %d", answer.Code)
	}
	_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is used again
	return answer.MessageID, nil
}

// workPlain runs a plain asynq server until it has completed n tasks; completed is called at that moment.
func (s *stand) workPlain(ctx context.Context, h *plainHandler, n int, completed func() error) error {
	opt := asynq.RedisClientOpt{Addr: s.redisAddr}
	inspector := asynq.NewInspector(opt)
	defer func() { _ = inspector.Close() }()
	server := asynq.NewServer(opt, asynq.Config{Concurrency: s.concurrency, LogLevel: asynq.ErrorLevel})
	if err := server.Start(h); err != nil {
		return fmt.Errorf("start asynq server: %w", err)
	}
	defer server.Shutdown()
	defer h.http.CloseIdleConnections()
	err := until(ctx, pollEvery, func() (bool, error) {
		if h.done.Load() < int64(n) {
			return false, nil // the queue is asked only when it is nearly over, because that costs
		}
		queue, err := inspector.GetQueueInfo("default")
		if err != nil {
			return false, fmt.Errorf("ask queue: %w", err)
		}
		return queue.Completed == n, nil
	})
	if err != nil {
		return err
	}
	return completed()
}
