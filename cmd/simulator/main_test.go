package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"pregon/providers/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func noEnv(string) string { return "" }

// running is the real program, started in process.
type running struct {
	url    string
	client *http.Client
	stdout *bufio.Reader
	stderr *bytes.Buffer // to be read after stop
	stop   func() int    // cancels the context and returns the exit code
}

func launch(t *testing.T, getenv func(string) string, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	p := &running{stdout: bufio.NewReader(read), stderr: new(bytes.Buffer), client: &http.Client{
		Transport: &http.Transport{},
	}}
	ended := make(chan int, 1)
	go func() {
		code := run(ctx, args, getenv, write, p.stderr)
		_ = write.Close()
		ended <- code
	}()
	stopped := false
	p.stop = func() int {
		stopped = true
		cancel()
		_, _ = io.Copy(io.Discard, p.stdout)
		p.client.CloseIdleConnections()
		return <-ended
	}
	t.Cleanup(func() {
		if !stopped {
			p.stop()
		}
	})
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("no first line: %v; exit %d, stderr %q", err, p.stop(), p.stderr)
	}
	match := regexp.MustCompile(`^listening on (http://127\.0\.0\.1:[1-9][0-9]*)\n$`).FindStringSubmatch(line)
	if match == nil {
		t.Fatalf("first line %q", line)
	}
	p.url = match[1]
	return p
}

func (p *running) post(t *testing.T, path string, form url.Values) (int, string) {
	t.Helper()
	res, err := p.client.PostForm(p.url+path, form)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

const phone = "573005550100"

func TestRunServesAndStopsCleanly(t *testing.T) {
	p := launch(t, noEnv, "--addr", ":0", "--login", "ana@example.com", "--token", "s3cr3t-w", "--balance", "2",
		"--latency", "1ms", "--jitter", "1ms")
	send := url.Values{"login": {"ana@example.com"}, "token": {"s3cr3t-w"}, "mobile": {phone}, "id_template": {"992"},
		"custom_field": {"texto privado"}}
	for _, want := range []string{`{"code":1,`, `{"code":1,`, `{"code":5,`} {
		if status, body := p.post(t, simulator.SendPath, send); status != 200 || !strings.HasPrefix(body, want) {
			t.Errorf("HTTP %d %s, want %s", status, body, want)
		}
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	want := "simulator: stopped; 3 sends, 2 messages arrived, 1 of them duplicates\n"
	if got := p.stderr.String(); got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
}

func TestRunStopsWithARequestThatHangs(t *testing.T) {
	p := launch(t, noEnv, "--addr", "127.0.0.1:0")
	send := url.Values{"login": {simulator.DefaultLogin}, "token": {simulator.DefaultToken},
		"mobile": {"573005550408"}, "id_template": {"992"}}
	ended := make(chan error, 1)
	go func() {
		res, err := p.client.PostForm(p.url+simulator.SendPath, send)
		if err == nil {
			_ = res.Body.Close()
		}
		ended <- err
	}()
	res, err := p.client.Get(p.url + "/_sim/receipts?wait=1")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if err := <-ended; err == nil {
		t.Error("the hung request got an answer")
	}
	if strings.Contains(p.stderr.String(), "0408") {
		t.Errorf("a phone in the log: %q", p.stderr)
	}
}

func TestFlagsReachTheSimulator(t *testing.T) {
	templates := filepath.Join(t.TempDir(), "templates.json")
	list := `[{"id":"7","name":"Una","text":"Hola {1}"}]`
	if err := os.WriteFile(templates, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"SIMULATOR_ADDR": "127.0.0.1:0", "CONTACTOVIRTUAL_LOGIN": "luz@example.com",
		"CONTACTOVIRTUAL_TOKEN": "de-entorno"}
	p := launch(t, func(k string) string { return env[k] }, "--token", "de-bandera", "--templates", templates,
		"--cost", "0", "--balance", "163", "--odd-html-type", "--odd-string-codes", "--seed", "7", "--fault-429", "0.25")
	credentials := url.Values{"login": {"luz@example.com"}, "token": {"de-bandera"}}
	for path, want := range map[string]string{
		simulator.BalancePath:  `{"balance":"163","status":"success"}`,
		simulator.TemplatePath: `[{"nombre_plantilla":"Una","plantilla_aprobada":"Hola {1}","status":"success"}]`,
	} {
		if status, body := p.post(t, path, credentials); status != 200 || body != want {
			t.Errorf("%s: HTTP %d %s, want %s", path, status, body, want)
		}
	}
	res, err := p.client.Get(p.url + "/_sim/faults")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var got simulator.Faults
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if want := (simulator.Faults{Seed: 7, TooMany429: .25}); got != want {
		t.Errorf("faults %+v, want %+v", got, want)
	}
}

func TestEveryFlagHasAnEffect(t *testing.T) {
	base, err := parse(nil, noEnv, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"--addr=:1", "--keep-alive=1s", "--login=x", "--token=x", "--balance=0", "--cost=0", "--no-chatbot",
		"--bot-inactive", "--latency=1s", "--jitter=1s", "--rate=1", "--keep-messages=1", "--seed=1",
		"--fault-reset-unread=1", "--fault-reset-stored=1", "--fault-500=1", "--fault-429=1", "--fault-hang=1",
		"--fault-broken-json=1", "--odd-html-type", "--odd-bom", "--odd-notice", "--odd-string-codes",
		"--odd-number-balance", "--odd-grouped-balance",
	} {
		got, err := parse([]string{args}, noEnv, io.Discard)
		if err != nil {
			t.Errorf("%s: %v", args, err)
		}
		// No templates are given, so what is left can be compared as text.
		if a, b := mustJSON(t, base), mustJSON(t, got); a == b {
			t.Errorf("%s changes nothing", args)
		}
	}
	empty, err := parse([]string{"--balance=0", "--cost=0"}, noEnv, io.Discard)
	if err != nil || empty.options.Balance >= 0 || empty.options.Cost >= 0 {
		t.Errorf("zero is not none: %+v, %v", empty.options, err)
	}
}

func mustJSON(t *testing.T, c config) string {
	t.Helper()
	b, err := json.Marshal(c.options)
	if err != nil {
		t.Fatal(err)
	}
	return c.addr + c.keepAlive.String() + string(b)
}

func TestHelpExplainsTheScenarios(t *testing.T) {
	var stdout, stderr bytes.Buffer
	secret := func(string) string { return "valor-del-entorno" }
	if code := run(t.Context(), []string{"--help"}, secret, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("exit %d, stderr %q", code, stderr.String())
	}
	for _, want := range append([]string{"-fault-hang", "/_sim/receipts", "1001-1013"}, simulator.Help()) {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the help lacks %q", want)
		}
	}
	if strings.Contains(stdout.String(), "valor-del-entorno") {
		t.Error("the help shows the environment")
	}
}

func TestMistakesAreToldOnceAndWithoutSecrets(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte(`[{"id":"1","words":"x"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	busy := launch(t, noEnv, "--addr", "127.0.0.1:0")
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"unknown flag", []string{"--lat", "1s"}, 2, "not defined: -lat"},
		{"bad value", []string{"--balance", "mucho"}, 2, "balance"},
		{"stray argument", []string{"--token", "a", "b6fd61ec"}, 2, "flags only"},
		{"negative balance", []string{"--balance", "-1"}, 2, "negative"},
		{"no keep-alive", []string{"--keep-alive", "0"}, 2, "positive"},
		{"shares above one", []string{"--fault-500", "0.7", "--fault-429", "0.7"}, 2, "more than 1"},
		{"no such file", []string{"--templates", "no-such-file.json"}, 2, "no-such-file.json"},
		{"unknown field", []string{"--templates", broken}, 2, "words"},
		{"port in use", []string{"--addr", strings.TrimPrefix(busy.url, "http://")}, 1, "address already in use"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), test.args, noEnv, &stdout, &stderr); code != test.code || stdout.Len() > 0 {
				t.Errorf("exit %d, stdout %q", code, stdout.String())
			}
			if got := stderr.String(); strings.Count(got, test.want) != 1 || strings.Contains(got, "b6fd61ec") {
				t.Errorf("stderr %q, want %q once", got, test.want)
			}
		})
	}
}
