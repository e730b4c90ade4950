package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are the binaries that a run starts.
type programs struct {
	enqueue, worker string
	skewed          string // a worker whose clock can be wrong; "" when no scenario needs it
	self            string // this program, which is also the plain queue's worker
	path            string // PATH for all of them
	source          string
}

// build compiles the programs of a source tree as a chaos build, static and without paths in them.
func build(ctx context.Context, source, dir string, skewed bool) (programs, error) {
	p := programs{
		enqueue: filepath.Join(dir, "enqueue"), worker: filepath.Join(dir, "worker"), source: source,
	}
	err := compile(ctx, source, "-o", dir+string(filepath.Separator), "./cmd/enqueue", "./cmd/worker")
	if err != nil || !skewed {
		return p, err
	}
	overlay, err := skewTime(ctx, source, dir)
	if err != nil {
		return p, err
	}
	p.skewed = filepath.Join(dir, "worker-skewed")
	return p, compile(ctx, source, "-overlay", overlay, "-o", p.skewed, "./cmd/worker")
}

func compile(ctx context.Context, source string, args ...string) error {
	args = append([]string{"build", "-trimpath", "-tags", "chaos"}, args...)
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // our own words and the tree to be tested
	cmd.Dir = source
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", source, err, out)
	}
	return nil
}

// skewTime prepares a standard library in which time.Now is wrong by PREGON_CLOCK_SKEW seconds, and returns the overlay
// that puts it in place. The whole process lives by that clock: the queue library too, and everything that logs.
func skewTime(ctx context.Context, source, dir string) (overlay string, err error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOROOT")
	cmd.Dir = source
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find the standard library: %w", err)
	}
	original := filepath.Join(strings.TrimSpace(string(out)), "src", "time", "time.go")
	text, err := os.ReadFile(original)
	if err != nil {
		return "", fmt.Errorf("read the standard library: %w", err)
	}
	patched, err := patchNow(string(text))
	if err != nil {
		return "", fmt.Errorf("%s: %w", original, err)
	}
	replacement := filepath.Join(dir, "time.go")
	overlay = filepath.Join(dir, "overlay.json")
	plan, err := json.Marshal(map[string]any{"Replace": map[string]string{original: replacement}})
	if err != nil {
		return "", err
	}
	err = os.WriteFile(replacement, []byte(patched), 0o600) //nolint:gosec // into our own directory
	return overlay, errors.Join(err, os.WriteFile(overlay, plan, 0o600))
}

// The wall clock is moved and the monotonic one is not: timers and deadlines stay right, as on a machine whose clock is
// set wrong.
const (
	nowText   = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	nowSkewed = nowText + "\tsec += clockSkew\n"
	skewText  = `

// clockSkew is by how many seconds this process's clock is wrong.
var clockSkew = readClockSkew()

func readClockSkew() int64 {
	text, _ := syscall.Getenv("PREGON_CLOCK_SKEW")
	sign, n := int64(1), int64(0)
	for i, c := range []byte(text) {
		switch {
		case c == '-' && i == 0:
			sign = -1
		case c >= '0' && c <= '9':
			n = n*10 + int64(c-'0')
		}
	}
	return sign * n
}
`
	importText = "import (\n"
)

// patchNow makes time.Now wrong. Another Go may have another text; then it says so, since a clock that is right would
// prove nothing.
func patchNow(text string) (string, error) {
	if strings.Count(text, nowText) != 1 || strings.Count(text, importText) != 1 {
		return "", errors.New("time.Now is not written as in the Go that this was made for")
	}
	if !strings.Contains(text, `"syscall"`) {
		text = strings.Replace(text, importText, importText+"\t\"syscall\"\n", 1)
	}
	return strings.Replace(text, nowText, nowSkewed, 1) + skewText, nil
}
