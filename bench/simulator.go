package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"pregon/providers"
	"pregon/providers/simulator"
)

// provider is the simulator as a process of its own: what the messages cost it is not on the account of whoever sends.
type provider struct {
	url  string
	http *http.Client
	cmd  *exec.Cmd
}

// startProvider runs the simulator with credit for everything and without a memory of texts.
func (s *stand) startProvider(ctx context.Context) (*provider, error) {
	path, err := s.program(ctx, "simulator")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "--addr", "127.0.0.1:0", "--balance", "1000000000", //nolint:gosec,noctx // ours; see stop
		"--keep-messages", "-1", "--login", simulator.DefaultLogin, "--token", simulator.DefaultToken)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start simulator: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start simulator: %w", err)
	}
	p := &provider{cmd: cmd, http: providers.NewHTTPClient()}
	line, err := bufio.NewReader(out).ReadString('\n')
	_, url, ok := strings.Cut(strings.TrimSpace(line), "listening on ")
	if !ok {
		p.stop()
		return nil, errors.Join(errors.New("simulator did not say where it listens"), err)
	}
	p.url = url
	return p, nil
}

func (p *provider) stop() {
	p.http.CloseIdleConnections()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	_ = p.cmd.Wait()                          // its exit status tells nothing about the measurement
}

// arrived is what the simulator counted.
type arrived struct {
	Total      int `json:"total"`
	Duplicates int `json:"duplicates"`
}

// reset makes the simulator forget what arrived.
func (p *provider) reset(ctx context.Context) error {
	return p.call(ctx, http.MethodPost, "/_sim/reset", nil)
}

// expect is an error unless exactly n messages arrived, each at another phone: a speed at which messages are lost or
// doubled is none.
func (p *provider) expect(ctx context.Context, n int) error {
	var a arrived
	if err := p.call(ctx, http.MethodGet, "/_sim/receipts", &a); err != nil {
		return err
	}
	if a.Total != n || a.Duplicates != 0 {
		return fmt.Errorf("%d messages arrived, %d of them twice; want %d, each once", a.Total, a.Duplicates, n)
	}
	return nil
}

func (p *provider) call(ctx context.Context, method, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, nil)
	if err != nil {
		return fmt.Errorf("ask simulator: %w", err)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask simulator: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("ask simulator: %s", resp.Status)
	}
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("ask simulator: %w", err)
	}
	return nil
}
