package journal

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pregon/internal/ledger"
)

// otherProcess is what the tests start beside their own; see process_linux_test.go.
var otherProcess = func(string) int { return 1 }

func TestMain(m *testing.M) {
	if role := os.Getenv("JOURNAL_TEST_ROLE"); role != "" {
		os.Exit(otherProcess(role))
	}
	goleak.VerifyTestMain(m)
}

// tester is what testing.T and rapid.T have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func mustOpen(t tester, dir string, b bounds) *Journal {
	t.Helper()
	j, err := open(dir, slog.New(slog.DiscardHandler), b)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// openIn opens a journal that is closed with the test.
func openIn(t testing.TB, dir string) *Journal { return openWithin(t, dir, usual) }

func openWithin(t testing.TB, dir string, b bounds) *Journal {
	t.Helper()
	j := mustOpen(t, dir, b)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func mustClose(t tester, j *Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustClaim(t tester, j *Journal, c ledger.Claim) {
	t.Helper()
	if err := j.Claimed(c); err != nil {
		t.Fatal(err)
	}
}

// someClaim is the first attempt at a row.
func someClaim(campaign string, row int) ledger.Claim { return nthClaim(campaign, row, 1) }

func nthClaim(campaign string, row, fence int) ledger.Claim {
	return ledger.Claim{
		Verdict: ledger.Go, Campaign: campaign, Row: row, Nonce: fmt.Sprintf("j0a1b2%05x%05x", row, fence), Fence: fence,
		Deadline: time.UnixMilli(1_790_000_000_000 + int64(row)),
	}
}

// someOutcome is what most attempts come to.
func someOutcome(row int) ledger.Outcome {
	return ledger.Outcome{
		State: ledger.Accepted, MessageID: fmt.Sprintf("0f5b8f0a-6c1d-4a53-9d53-%012d", row), Account: "contactovirtual",
		Tried: true, Took: 312 * time.Millisecond,
	}
}

// all are the entries of all campaigns.
func all(j *Journal) map[string][]Entry {
	entries := make(map[string][]Entry)
	for _, c := range j.Campaigns() {
		entries[c] = j.Entries(c)
	}
	return entries
}

// files returns the segments of a slot, oldest first.
func files(t testing.TB, slotDir string) []string {
	t.Helper()
	found, err := (&segments{dir: slotDir}).list()
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, g := range found {
		paths = append(paths, g.path)
	}
	return paths
}

// leave makes a slot as a predecessor may have left it.
func leave(t testing.TB, segments ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "0"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i, text := range segments {
		path := filepath.Join(dir, "0", fmt.Sprintf("journal-%d.jsonl", i+1))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// written is what a file says of some events.
func written(lines ...line) string {
	var text bytes.Buffer
	for _, l := range lines {
		text.Write(l.encode())
	}
	return text.String()
}

func rowsOf(entries []Entry) []int {
	rows := []int{}
	for _, e := range entries {
		rows = append(rows, e.Claim.Row)
	}
	return rows
}

func sortedRows(entries []Entry) []int { return slices.Sorted(slices.Values(rowsOf(entries))) }
