package main

import (
	"bytes"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pregon/providers/simulator"
)

// logged is an append-only file: each command is its words.
func logged(commands ...string) string {
	var b strings.Builder
	for _, c := range commands {
		words := strings.Fields(c)
		fmt.Fprintf(&b, "*%d\r\n", len(words))
		for _, w := range words {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
		}
	}
	return b.String()
}

func TestTheTailIsCutBetweenTransactionsOrTorn(t *testing.T) {
	head := logged("SELECT 0", "SET a 1", "MULTI", "SET b 1", "HINCRBY c x 1", "EXEC")
	open := head + logged("SET d 1", "MULTI", "SET e 1")
	whole := open + logged("HINCRBY f x 1", "EXEC", "SET g 1")
	for name, c := range map[string]struct {
		text string
		cut  int
		torn bool
		want string
	}{
		"between":              {whole, 1, false, open + logged("HINCRBY f x 1", "EXEC")},
		"before a transaction": {whole, len(logged("EXEC", "SET g 1")), false, head + logged("SET d 1")},
		"everything":           {whole, 10_000, false, ""},
		"torn":                 {whole, 1, true, open + logged("HINCRBY f x 1") + logged("EXEC")[:7]},
		"torn in the one before": {whole, len(logged("HINCRBY f x 1", "EXEC", "SET g 1")) + 1, true,
			head[:len(head)-len(logged("EXEC"))+7]},
		"a file that is cut off":       {whole[:len(whole)-3], 0, false, open + logged("HINCRBY f x 1", "EXEC")},
		"with times":                   {"#TS:1\r\n" + whole, 1, false, "#TS:1\r\n" + open + logged("HINCRBY f x 1", "EXEC")},
		"a transaction that has begun": {open, 0, false, head + logged("SET d 1")},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.aof")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			n, err := cutTail(path, c.cut, c.torn)
			left, _ := os.ReadFile(path)
			if err != nil || string(left) != c.want || n != len(c.text)-len(c.want) {
				t.Errorf("cut %d, %v, left %q, want %q", n, err, left, c.want)
			}
		})
	}
	if err := eachBoundary([]byte("REDIS0011"), func(int, int, string) {}); err == nil {
		t.Error("something else was taken for commands")
	}
}

func TestTheNewestAppendOnlyFileIsFound(t *testing.T) {
	dir := t.TempDir()
	parts := filepath.Join(dir, "appendonlydir")
	if err := os.Mkdir(parts, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"appendonly.aof.9.incr.aof", "appendonly.aof.10.incr.aof", "appendonly.aof.10.base.rdb", "appendonly.aof.manifest",
	} {
		if err := os.WriteFile(filepath.Join(parts, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path, err := appendOnlyFile(dir)
	if err != nil || filepath.Base(path) != "appendonly.aof.10.incr.aof" {
		t.Errorf("%s, %v", path, err)
	}
	if _, err := appendOnlyFile(t.TempDir()); err == nil {
		t.Error("an append-only file was found where there is none")
	}
}

func TestSkewedClockIsPutIntoThisGo(t *testing.T) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go"))
	if err != nil {
		t.Skip("the standard library's source is not here:", err)
	}
	patched, err := patchNow(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.ParseFile(token.NewFileSet(), "time.go", patched, 0); err != nil {
		t.Error(err)
	}
	if strings.Count(patched, "sec += clockSkew") != 1 {
		t.Error("time.Now is as it was")
	}
	if _, err := patchNow(strings.ReplaceAll(string(text), "runtimeNow()", "runtimeTime()")); err == nil {
		t.Error("another text was taken for this one")
	}
}

func TestContactsAreDifferentPeopleWithoutScenarios(t *testing.T) {
	special := make(map[string]bool)
	for _, s := range simulator.Scenarios() {
		special[s.Suffix] = true
	}
	seen := make(map[string]bool)
	for campaign := range 3 {
		for _, c := range contacts(5, campaign, 20_000) {
			last := c.phone[8:]
			if len(c.phone) != 12 || !strings.HasPrefix(c.phone, "5731") || special[last] || last < "2000" || last >= "9000" {
				t.Fatalf("%s", c.phone)
			}
			if seen[c.phone] {
				t.Fatalf("%s is there twice", c.phone)
			}
			seen[c.phone] = true
		}
	}
}

func TestCrashPointsAreFoundInTheSource(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"jobs/sender.go":           `crash.Point("after-claim"); crash.Point("before-claim")`,
		"jobs/sender_test.go":      `crash.Point("only-a-test")`,
		"internal/ledger/page.go":  "\tcrash.Point(\"page\")\n\tcrash.Point(\"after-claim\")",
		"docs/crash.md":            `crash.Point("a-text")`,
		"internal/crash/chaos.go":  `// "after-claim"`,
		"providers/simulator/s.go": `crash.Point("elsewhere")`,
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	points, err := crashPoints(dir)
	if want := []string{"after-claim", "before-claim", "page"}; err != nil || !slices.Equal(points, want) {
		t.Errorf("%q, %v", points, err)
	}
}

func TestTableShowsTheSpreadOfItsRuns(t *testing.T) {
	runs := []figures{
		{scenario: "storm", seed: 1, rows: 10, drain: 3 * time.Second, limit: 100, rate: 99},
		{scenario: "storm", seed: 2, rows: 10, drain: time.Second, limit: 100, rate: 100, doubt: [2]int{1, 2}},
		{scenario: "storm", seed: 3, rows: 10, drain: 2 * time.Second, limit: 100, rate: 99},
		{scenario: "plain", seed: 1, rows: 10, duplicates: 7, baseline: true},
	}
	text := table(runs)
	for _, want := range []string{
		"| storm | 1–3 | 10 |", "1.0 s / 2.0 s / 3.0 s", "0 / 0 / 3 (0 / 0 / 1/0 / 0 / 2)", "99 / 99 / 100 (100) | 7 |",
		"| plain | 1 | 10 | 0 | 0 | 7 | 0 | – |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"-scenario", "nothing"}, {"-seeds", "0"}, {"-rows", "-1"}, {"-unknown"}, {"storm"},
	} {
		var out, problems bytes.Buffer
		if code := run(t.Context(), args, nil, &out, &problems); code != exitUsage || problems.Len() == 0 {
			t.Errorf("%q: status %d, %q", args, code, problems.String())
		}
	}
}
