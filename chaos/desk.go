package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// contact is one row of a campaign's file.
type contact struct {
	row   int    // as people see it: the header is row 1
	phone string // digits, country code first
}

// Words that must not be found outside the pages: in logs, in the append-only file, in the queue.
const (
	canaryName  = "Canarina"
	canaryLogin = "canary-login@example.com"
	canaryToken = "canary-token-7f3a9" //nolint:gosec // it opens nothing
)

// contacts invents n people. The last four digits stay clear of those that the simulator treats in a special way.
func contacts(seed uint64, campaign, n int) []contact {
	list := make([]contact, n)
	for i := range list {
		block := (int(seed%97)*31 + campaign*97 + i/7000) % 10_000
		list[i] = contact{row: i + 2, phone: fmt.Sprintf("5731%04d%04d", block, 2000+i%7000)}
	}
	return list
}

// writeFile writes a campaign's file as people have it.
func writeFile(path string, people []contact) error {
	var b bytes.Buffer
	b.WriteString("Celular,Nombre,Descuento\n")
	for _, c := range people {
		fmt.Fprintf(&b, "%s,%s %d,15 %%\n", strings.TrimPrefix(c.phone, "57"), canaryName, c.row)
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// desk is the operator: the real command line, run for each question.
type desk struct {
	program string
	env     []string
	dir     string
	diary   *diary
	mu      sync.Mutex // log
}

// answer is how one command ended.
type answer struct {
	code   int
	killed bool // it died without a word, at its crash point or by our hand
	out    []byte
	err    string
}

// The exit statuses that mean "done": rows that failed or are in doubt are what the oracle looks at.
const (
	exitOK         = 0
	exitRejected   = 3
	exitUnfinished = 7
)

func (a answer) ok() bool {
	return a.code == exitOK || a.code == exitRejected || a.code == exitUnfinished
}

// ask runs one command with extra environment.
func (d *desk) ask(ctx context.Context, extra []string, args ...string) (answer, error) {
	cmd := exec.CommandContext(ctx, d.program, args...) //nolint:gosec // what was just built
	cmd.Env = append(slices.Clone(d.env), extra...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		return answer{}, fmt.Errorf("enqueue %s: %w", args[0], err)
	}
	a := answer{code: cmd.ProcessState.ExitCode(), out: out.Bytes(), err: problems.String()}
	a.killed = a.code < 0
	return a, d.keep(args, a)
}

// keep writes what a command said on stderr into the operator's log.
func (d *desk) keep(args []string, a answer) error {
	if a.err == "" {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := os.OpenFile(filepath.Join(d.dir, "enqueue.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "# enqueue %s: status %d\n%s\n", args[0], a.code, a.err)
	return errors.Join(err, f.Close())
}

// launchArgs is the command that launches a file; the same words find the same campaign again.
func launchArgs(path, name string, extra ...string) []string {
	return append([]string{
		"run", path, "--name", name, "--template", "991", "--var", "1=Nombre", "--var", "2=Descuento",
		"--any-hour", "--yes", "--json",
	}, extra...)
}

// launch launches a file and returns the campaign's id.
func (d *desk) launch(ctx context.Context, path, name string, extra ...string) (string, error) {
	a, err := d.ask(ctx, nil, launchArgs(path, name, extra...)...)
	if err != nil {
		return "", err
	}
	if !a.ok() {
		return "", fmt.Errorf("enqueue run: status %d: %s", a.code, a.err)
	}
	id, err := campaignOf(a)
	if err == nil {
		d.diary.note("launched", "campaign", id)
	}
	return id, err
}

func campaignOf(a answer) (string, error) {
	var doc struct {
		Campaign string `json:"campaign"`
	}
	if err := json.Unmarshal(a.out, &doc); err != nil || doc.Campaign == "" {
		return "", fmt.Errorf("enqueue run names no campaign: %w", errors.Join(err, errors.New(string(a.out))))
	}
	return doc.Campaign, nil
}

// status is what `enqueue status --json` says.
type status struct {
	State  string         `json:"state"`
	Reason string         `json:"reason"`
	Total  int            `json:"total"`
	Counts map[string]int `json:"counts"`
}

// open is how many rows something may still happen to by itself.
func (s status) open() int { return s.Counts["queued"] + s.Counts["waiting"] + s.Counts["sending"] }

// status asks how a campaign stands. While Redis is away there is no answer.
func (d *desk) status(ctx context.Context, id string) (status, bool) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	a, err := d.ask(ctx, nil, "status", id, "--json")
	var s status
	if err != nil || !a.ok() || json.Unmarshal(a.out, &s) != nil {
		return s, false
	}
	return s, true
}

// result is one line of `enqueue results`.
type result struct {
	Row   int    `json:"row"`
	Phone string `json:"phone"`
	State string `json:"state"`
	Code  string `json:"code"`
}

// results reads what became of every row, in both forms in which it can be had. Both stay in the run's directory.
func (d *desk) results(ctx context.Context, id string) ([]result, error) {
	path := filepath.Join(d.dir, "results-"+id+".jsonl")
	if a, err := d.ask(ctx, nil, "results", id, "-o", path); err != nil || !a.ok() {
		return nil, errors.Join(err, fmt.Errorf("enqueue results: status %d: %s", a.code, a.err))
	}
	whole, err := d.ask(ctx, nil, "results", id, "--json")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(d.dir, "results-"+id+".json"), whole.out, 0o600); err != nil {
		return nil, err
	}
	var list []result
	if err := json.Unmarshal(whole.out, &list); err != nil {
		return nil, fmt.Errorf("enqueue results --json: %w", err)
	}
	lines, err := readResults(path)
	if err == nil && !slices.Equal(lines, list) {
		err = errors.New("enqueue results says one thing with --json and another with -o")
	}
	return lines, err
}

func readResults(path string) ([]result, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("enqueue results wrote nothing: %w", err)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var list []result
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("enqueue results: %w", err)
		}
		list = append(list, r)
	}
	return list, lines.Err()
}

// do runs a command that must succeed.
func (d *desk) do(ctx context.Context, args ...string) error {
	a, err := d.ask(ctx, nil, args...)
	if err == nil && !a.ok() {
		err = fmt.Errorf("enqueue %s: status %d: %s", args[0], a.code, a.err)
	}
	d.diary.note("operator", "command", strings.Join(args, " "), "err", fmt.Sprint(err))
	return err
}
