package journal

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestEachTakesASlotOfItsOwn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "yet", "there")
	a, b := openIn(t, dir), openIn(t, dir)
	if a.Name() == b.Name() || len(a.Name()) != 16 {
		t.Fatalf("names %q and %q", a.Name(), b.Name())
	}
	mustClaim(t, a, someClaim("promo", 2))
	mustClaim(t, b, someClaim("promo", 3))
	mustClose(t, a)
	next := openIn(t, dir)
	if next.Name() != a.Name() {
		t.Errorf("the slot is now called %q, and was %q", next.Name(), a.Name())
	}
	if got := rowsOf(next.Entries("promo")); !cmp.Equal(got, []int{2}) {
		t.Errorf("rows %v", got)
	}
	if name := openIn(t, "").Name(); name != "" {
		t.Errorf("memory only is called %q", name)
	}
}

func TestNobodyElseCanReadAJournal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journals")
	mustClaim(t, openIn(t, dir), someClaim("promo", 2))
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	badName := leave(t)
	if err := os.WriteFile(filepath.Join(badName, "0", "name"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	badSegment := leave(t)
	if err := os.Mkdir(filepath.Join(badSegment, "0", "journal-1.jsonl"), 0o700); err != nil {
		t.Fatal(err)
	}
	readOnly := leave(t)
	if err := os.Chmod(readOnly, 0o500); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(readOnly, "0"), 0o500); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		dir  string
		want string // in the message, beside the directory
	}{
		"a file":              {file, "make the directory"},
		"below a file":        {filepath.Join(file, "journals"), "make the directory"},
		"a newer version":     {leave(t, `{"v":2,"e":"claimed","c":7}`+"\n"), "newer version"},
		"a newer one of ours": {leave(t, `{"v":2}`+"\n", written(claimLine(claimed, someClaim("promo", 2)))), "newer version"},
		"a damaged name":      {badName, "damaged"},
		"an odd segment":      {badSegment, "journal-1.jsonl"},
		"no permission":       {readOnly, "permission denied"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.dir == readOnly && os.Geteuid() == 0 {
				t.Skip("root may write anywhere")
			}
			before := tree(t, test.dir)
			for range 2 { // the second time too: it does not keep the slot
				_, err := Open(test.dir, slog.New(slog.DiscardHandler))
				if err == nil {
					t.Fatal("opened")
				}
				if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.dir) {
					t.Errorf("message: %v", err)
				}
			}
			for path, text := range before {
				if after := tree(t, test.dir); after[path] != text {
					t.Errorf("%s was %q and is %q", path, text, after[path])
				}
			}
		})
	}
}

// tree returns the files of a directory.
func tree(t *testing.T, dir string) map[string]string {
	found := make(map[string]string)
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
			}
			found[path] = string(text)
		}
		return nil
	})
	return found
}

func TestWhatIsDamagedIsLeftOut(t *testing.T) {
	claim := func(row int) string { return written(claimLine(claimed, someClaim("promo", row))) }
	result := func(row int) string { return written(outcomeLine(someClaim("promo", row), someOutcome(row))) }
	tests := map[string]struct {
		segments []string
		rows     []int
		settled  int
		damaged  string
	}{
		"a torn last line":             {[]string{claim(2) + claim(3)[:60]}, []int{2}, 0, ""},
		"one that only lacks its end":  {[]string{claim(2) + strings.TrimSpace(claim(3))}, []int{2}, 0, ""},
		"one torn in each file":        {[]string{claim(2) + claim(3)[:60], claim(2) + claim(4) + claim(5)[:9]}, []int{2, 4}, 0, ""},
		"a line in the middle":         {[]string{claim(2) + claim(3)[:60] + "\n" + claim(4)}, []int{2, 4}, 0, "lines=1"},
		"two lines that became one":    {[]string{claim(2) + claim(3)[:60] + claim(4) + claim(5)}, []int{2, 5}, 0, "lines=1"},
		"zeros after a power cut":      {[]string{claim(2), strings.Repeat("\x00", 9000) + "\n" + claim(3)}, []int{2, 3}, 0, "lines=1"},
		"a line without an end":        {[]string{claim(2) + strings.Repeat("x", 3*longestLine) + `{"v":2}` + "\n" + claim(3)}, []int{2, 3}, 0, "lines=1"},
		"a result without its claim":   {[]string{claim(2) + "{\n" + result(3)}, []int{2, 3}, 1, "lines=1"},
		"a line that is not whole":     {[]string{`{"v":1,"e":"claimed","c":"promo","at":1,"row":2,"fence":1}` + "\n" + claim(3)}, []int{3}, 0, "lines=1"},
		"a claim with a result":        {[]string{strings.Replace(result(2), "settled", "claimed", 1) + claim(3)}, []int{3}, 0, "lines=1"},
		"bytes that are no text":       {[]string{strings.Replace(claim(2), "promo", "prom\xff", 1) + claim(3)}, []int{3}, 0, "lines=1"},
		"an event that is not known":   {[]string{strings.Replace(claim(2), "claimed", "blamed", 1) + claim(3)}, []int{3}, 0, "lines=1"},
		"a field that is not known":    {[]string{strings.Replace(claim(2), `"v":1`, `"v":1,"shoe":44`, 1) + claim(3)}, []int{2, 3}, 0, ""},
		"four lines, in one warning":   {[]string{"\n[]\n", "1\n" + claim(2) + "null\n"}, []int{2}, 0, "lines=4"},
		"an attempt that was repeated": {[]string{claim(2) + result(2), claim(2) + claim(3)}, []int{2, 3}, 1, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := leave(t, test.segments...)
			var said bytes.Buffer
			j, err := Open(dir, slog.New(slog.NewTextHandler(&said, nil)))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { j.Close() })
			settled := 0
			for _, e := range j.Entries("promo") {
				if e.Outcome.State != "" {
					settled++
				}
			}
			if got := rowsOf(j.Entries("promo")); !cmp.Equal(got, test.rows) || settled != test.settled {
				t.Errorf("rows %v, of which %d settled", got, settled)
			}
			if test.damaged == "" && said.Len() > 0 || !strings.Contains(said.String(), test.damaged) ||
				strings.Count(said.String(), "\n") > 1 {
				t.Errorf("said: %s", said.String())
			}
			mustClaim(t, j, someClaim("promo", 99)) // what comes later stands in lines of its own
			mustClose(t, j)
			if got := rowsOf(openIn(t, dir).Entries("promo")); !cmp.Equal(got, append(test.rows, 99)) {
				t.Errorf("rows %v afterwards", got)
			}
		})
	}
}

func TestANewFileCarriesOverWhatStillCounts(t *testing.T) {
	dir, few := t.TempDir(), bounds{most: 20, age: usual.age, segment: 2 << 10}
	slot := filepath.Join(dir, "0")
	j := openWithin(t, dir, few)
	mustClaim(t, j, someClaim("promo", 2)) // in flight all the time
	for row := 3; row < 300; row++ {
		c := someClaim("promo", row)
		mustClaim(t, j, c)
		if row%3 == 0 {
			j.Dropped(c)
		} else {
			j.Settled(c, someOutcome(row))
		}
		paths := files(t, slot)
		var size int64
		for _, path := range paths {
			if info, err := os.Stat(path); err == nil {
				size += info.Size()
			}
		}
		// Twenty entries of up to 300 bytes, twice while they are carried over, and what was added since.
		if most := 2*20*300 + few.segment + 1000; size > most || len(paths) > 2 {
			t.Fatalf("row %d: %d bytes in %v", row, size, paths)
		}
	}
	before, forgot := all(j), j.Forgot("promo")
	if got := len(before["promo"]); got != 20 || before["promo"][0].Claim.Row != 2 {
		t.Errorf("%d entries, the first of row %d", got, before["promo"][0].Claim.Row)
	}
	if j.files.number < 5 {
		t.Errorf("only %d files", j.files.number)
	}
	mustClose(t, j)
	next := openWithin(t, dir, few)
	if diff := cmp.Diff(before, all(next)); diff != "" {
		t.Error(diff)
	}
	if got := next.Forgot("promo"); !got.Equal(forgot) || got.IsZero() {
		t.Errorf("forgot up to %v, want %v", got, forgot)
	}
	if got := files(t, slot); len(got) != 1 {
		t.Errorf("files left: %v", got)
	}
}

// TestAnErrorIsTheCallersAndTheNextCallTriesAgain has a real error of the system: on /dev/full no byte is written, and
// /dev/null takes them and cannot sync.
func TestAnErrorIsTheCallersAndTheNextCallTriesAgain(t *testing.T) {
	for device, want := range map[string]error{"/dev/full": syscall.ENOSPC, "/dev/null": syscall.EINVAL} {
		t.Run(device, func(t *testing.T) {
			broken, err := os.OpenFile(device, os.O_WRONLY, 0)
			if err != nil {
				t.Skip(err)
			}
			dir := t.TempDir()
			var said bytes.Buffer
			j, err := Open(dir, slog.New(slog.NewTextHandler(&said, nil)))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { j.Close() })
			mustClaim(t, j, someClaim("promo", 2))
			mustClaim(t, j, someClaim("promo", 3))
			j.files.file.Close()
			j.files.file = broken // nothing is being written now
			j.Settled(someClaim("promo", 2), someOutcome(2))
			err = j.Claimed(someClaim("promo", 4))
			if err == nil && device == "/dev/full" { // it came after what is only settled, and found the file mended
				t.Log("the batch before failed")
			} else if !errors.Is(err, want) {
				t.Fatalf("claimed: %v", err)
			}
			got := sortedRows(j.Entries("promo"))
			if err != nil && !cmp.Equal(got, []int{2, 3}) {
				t.Errorf("rows %v after the error", got)
			}
			mustClaim(t, j, someClaim("promo", 5))
			before := all(j)
			mustClose(t, j)
			after := all(openIn(t, dir))
			if diff := cmp.Diff(before, after, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if after["promo"][0].Outcome.State == "" {
				t.Error("what was settled while nothing could be written is lost")
			}
		})
	}
}

// TestWhereNoNewFileCanBeBegunTheOldOneGoesOn unless the old one cannot be trusted either.
func TestWhereNoNewFileCanBeBegunTheOldOneGoesOn(t *testing.T) {
	dir := t.TempDir()
	var said bytes.Buffer
	j, err := open(dir, slog.New(slog.NewTextHandler(&said, nil)), bounds{most: 4, age: usual.age, segment: 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	obstacle := filepath.Join(dir, "0", "journal-2.jsonl")
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	for row := 2; row < 20; row++ {
		mustClaim(t, j, someClaim("promo", row))
	}
	if n := strings.Count(said.String(), "not shortened"); n == 0 || j.files.number != 1 {
		t.Errorf("warned %d times; file %d", n, j.files.number)
	}
	j.files.suspect = true // nothing is being written now
	for row := 20; row < 23; row++ {
		if err := j.Claimed(someClaim("promo", row)); err == nil {
			t.Errorf("row %d is claimed in a file that may have lost others", row)
		}
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	mustClaim(t, j, someClaim("promo", 23))
	mustClose(t, j)
	if got := rowsOf(openIn(t, dir).Entries("promo")); len(got) != 19 || got[18] != 23 {
		t.Errorf("rows %v", got)
	}
}

func TestACloseThatCannotWriteSaysSo(t *testing.T) {
	broken, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	j := openIn(t, t.TempDir())
	mustClaim(t, j, someClaim("promo", 2))
	j.files.file.Close()
	j.files.file = broken
	if err := os.RemoveAll(j.slot.dir); err != nil { // no new file can be made either
		t.Fatal(err)
	}
	j.Settled(someClaim("promo", 2), someOutcome(2))
	first, second := j.Close(), j.Close()
	if first == nil || first != second {
		t.Errorf("closed: %v; and again: %v", first, second)
	}
}
