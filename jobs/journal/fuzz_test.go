package journal

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func seeds(f *testing.F) {
	c := someClaim("promo", 2)
	first, result := claimLine(claimed, c), outcomeLine(c, someOutcome(2))
	for _, text := range []string{
		"", "\n", written(first), written(first, result), written(first, claimLine(dropped, c)),
		written(line{V: 1, Event: forgot, Campaign: "promo", At: 7}, result), written(first)[:50] + "\n" + written(result),
		`{"v":2}` + "\n", `{"v":1e0,"e":"settled","C":"x","at":1,"row":1,"fence":1,"nonce":"n","state":"read"}` + "\n",
	} {
		f.Add([]byte(text))
	}
}

// FuzzLines reads any bytes: nothing panics, and no entry is there that does not stand in a line of its own.
func FuzzLines(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		m := newMemory(usual)
		if _, err := readLines(bytes.NewReader(text), func(l line) { m.apply(l); m.trim(time.Now()) }); err != nil {
			return
		}
		for _, c := range m.campaigns {
			for _, r := range c.rows {
				if e := r.entry(); !stands(text, e) {
					t.Errorf("an entry that nobody wrote: %+v", e)
				}
				// What is carried over is the same when it is read.
				again := newMemory(usual)
				l := r.line()
				if n, err := readLines(bytes.NewReader(l.encode()), func(l line) { again.apply(l) }); n > 0 || err != nil {
					t.Fatalf("%d damaged lines, %v", n, err)
				}
				for _, copied := range again.campaigns[c.id].records() {
					if diff := cmp.Diff(r.entry(), copied.entry()); diff != "" {
						t.Error(diff)
					}
				}
			}
		}
	})
}

// stands reports whether an entry is said by whole lines: its claim by one, and its outcome by one of the same attempt.
func stands(text []byte, e Entry) bool {
	lines := bytes.Split(text, []byte("\n"))
	for _, one := range lines[:len(lines)-1] { // what follows the last newline is torn
		var l line
		if json.Unmarshal(one, &l) != nil || l.V != 1 || l.Campaign != e.Claim.Campaign || l.Row != e.Claim.Row ||
			l.Fence != e.Claim.Fence || l.Nonce != e.Claim.Nonce {
			continue
		}
		if l.Event == "claimed" && e.Outcome.State == "" || l.Event == "settled" && cmp.Equal(l.outcome(), e.Outcome) {
			return true
		}
	}
	return false
}

// FuzzOpen takes over a slot with any file in it, twice: what is known the first time is known the second time.
func FuzzOpen(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := filepath.Join(leave(t, string(text)), "0")
		first, err := resumed(dir)
		if err != nil {
			left, readErr := os.ReadFile(filepath.Join(dir, "journal-1.jsonl"))
			if readErr != nil || !bytes.Equal(left, text) {
				t.Errorf("not opened (%v), and the file is gone (%v)", err, readErr)
			}
			return
		}
		second, err := resumed(dir)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(all(first), all(second)); diff != "" {
			t.Error(diff)
		}
	})
}

// resumed is all that Open does but for the writer, whose goroutine would hide from the fuzzer what an input leads to.
func resumed(dir string) (*Journal, error) {
	j := &Journal{
		log: slog.New(slog.DiscardHandler), slot: &slot{dir: dir}, memory: newMemory(usual),
		files: &segments{dir: dir, grow: usual.segment},
	}
	if err := j.resume(); err != nil {
		return nil, err
	}
	return j, j.files.close()
}
