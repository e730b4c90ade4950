package journal

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pregon/internal/ledger"
)

func init() { otherProcess = play }

// play is what a test starts as a process of its own, in the journal's directory. It says on stdout what it did.
func play(role string) int {
	j, err := Open(".", slog.New(slog.DiscardHandler))
	if err == nil {
		switch role {
		case "claims":
			err = claimForEver(j)
		case "full":
			err = fillDisk(j)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func start(t *testing.T, role, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env, cmd.Dir = append(os.Environ(), "JOURNAL_TEST_ROLE="+role), dir
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// claimForEver claims rows on several goroutines, and names each that it may send.
func claimForEver(j *Journal) error {
	rows, failed := make(chan int), make(chan error)
	for range 8 {
		go func() {
			for row := range rows {
				if err := j.Claimed(someClaim("promo", row)); err != nil {
					failed <- err
					return
				}
				fmt.Fprintf(os.Stdout, "%d\n", row)
				if row%2 == 0 {
					j.Settled(someClaim("promo", row), someOutcome(row))
				}
			}
		}()
	}
	fmt.Fprintln(os.Stdout, j.Name())
	for row := 2; ; row++ {
		select {
		case rows <- row:
		case err := <-failed:
			return err
		}
	}
}

func TestAProcessThatIsKilledLeavesAllItClaimed(t *testing.T) {
	dir := t.TempDir()
	cmd, said := start(t, "claims", dir)
	said.Scan()
	name := said.Text()
	if other := openIn(t, dir); other.Name() == name {
		t.Error("the slot of a living process was taken")
	} else {
		mustClose(t, other)
	}
	var rows []int
	for said.Scan() {
		row, err := strconv.Atoi(said.Text())
		if err != nil {
			t.Fatal(err)
		}
		if rows = append(rows, row); len(rows) == 500 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	next := openIn(t, dir)
	if next.Name() != name {
		t.Errorf("took the slot %s, and %s was left", next.Name(), name)
	}
	found := make(map[int]Entry)
	for _, e := range next.Entries("promo") {
		found[e.Claim.Row] = e
	}
	t.Logf("%d rows were claimed, %d are known", len(rows), len(found))
	for _, row := range rows {
		e, ok := found[row]
		if !ok {
			t.Errorf("row %d may have been sent and is not known", row)
		}
		want := Entry{Claim: someClaim("promo", row)}
		if e.Outcome.State != "" {
			want.Outcome, want.SettledAt = someOutcome(row), e.SettledAt
		}
		if diff := cmp.Diff(want, e); diff != "" || row%2 == 1 && e.Outcome.State != "" {
			t.Errorf("row %d: %s", row, diff)
		}
	}
}

// fillDisk has a disk that is full in the middle of a line, and a little later is not.
func fillDisk(j *Journal) error {
	signal.Ignore(syscall.SIGXFSZ)
	claim := func(row int) error { return j.Claimed(someClaim("promo", row)) }
	if err := claim(2); err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	full := limit
	full.Cur = uint64(j.files.good) + 100
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		return err
	}
	j.Settled(someClaim("promo", 2), someOutcome(2))
	for row := 3; row < 6; row++ {
		if err := claim(row); !errors.Is(err, syscall.EFBIG) {
			return fmt.Errorf("row %d on a full disk: %w", row, err)
		}
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if err := claim(6); err != nil {
		return err
	}
	if info, err := j.files.file.Stat(); err != nil || info.Size() != j.files.good {
		return fmt.Errorf("a torn line is left: %w", err)
	}
	if j.files.number != 1 {
		return errors.New("a new file was begun where a line could be cut off")
	}
	return nil // without Close
}

func TestADiskThatIsFullForAWhileCostsOnlyTheClaimsMeanwhile(t *testing.T) {
	dir := t.TempDir()
	cmd, said := start(t, "full", dir)
	for said.Scan() {
		t.Log(said.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "0", "journal-1.jsonl"))
	if err != nil || strings.Count(string(text), "\n") != 3 {
		t.Errorf("%s%v", text, err)
	}
	j := openIn(t, dir)
	got := j.Entries("promo")
	if !cmp.Equal(rowsOf(got), []int{2, 6}) {
		t.Fatalf("rows %v", rowsOf(got))
	}
	if got[0].Outcome.State != ledger.Accepted {
		t.Error("what was settled while the disk was full is lost")
	}
}
