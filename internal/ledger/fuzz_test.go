package ledger_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
)

// FuzzParseRecord reads damaged records and damaged history: nothing panics, and no state is invented.
func FuzzParseRecord(f *testing.F) {
	for _, record := range records {
		f.Add(record, "3,w,1700000000,12,not_now,429,abc123;1,d,1700000000,,unknown,timeout,")
	}
	f.Add("q:0:0:::::::", ";;;,,,,,,;1,z,1,1,1,1,1;-1,q,,,,,;99999999999999999999,q,,,,,")
	reasons := map[string]string{"abc123": "words"}
	f.Fuzz(func(t *testing.T, record, past string) {
		r, err := ledger.ParseRecord(record, reasons)
		switch {
		case err != nil && (!errors.Is(err, ledger.ErrCorrupt) || r.State != ""):
			t.Errorf("%q: %+v %v", record, r, err)
		case err == nil:
			fields := strings.Split(record, ":")
			if want := states[fields[0]]; r.State != want || want == "" {
				t.Errorf("%q reads as %q", record, r.State)
			}
			if fence, err := strconv.Atoi(fields[1]); err != nil || r.Fence != fence || fence < 0 || r.Tries < 0 || r.Took < 0 {
				t.Errorf("%q reads as %+v", record, r)
			}
			if r.Why != "" && r.Why != "words" {
				t.Errorf("%q says %q", record, r.Why)
			}
			if r.MessageID != "" && r.State != ledger.Accepted {
				t.Errorf("%q has a message id: %+v", record, r)
			}
		}
		attempts := ledger.ParsePast(past, reasons)
		if len(attempts) > strings.Count(past, ";")+1 {
			t.Errorf("%q reads as %d attempts", past, len(attempts))
		}
		for _, a := range attempts {
			if !slices.Contains([]string{"q", "s", "w", "a", "f", "d"}, letter(a.State)) {
				t.Errorf("%q has an attempt %+v", past, a)
			}
		}
		r.Past = attempts
		if n := len(r.Attempts()); n != len(attempts) && n != len(attempts)+1 {
			t.Errorf("%d attempts of %d", n, len(attempts))
		}
	})
}

var states = map[string]ledger.RowState{
	"q": ledger.Queued, "s": ledger.Sending, "w": ledger.Waiting, "a": ledger.Accepted, "f": ledger.Failed,
	"d": ledger.InDoubt,
}

func letter(s ledger.RowState) string {
	for l, state := range states {
		if state == s {
			return l
		}
	}
	return ""
}

// records are records whole and damaged.
var records = []string{
	"a:1:0:1700000000::: DhrdQ_kcTHyIBSIe9rJ7mA:::", "a:1:0:1700000000:::DhrdQ_kcTHyIBSIe9rJ7mA::812:",
	"w:3:2:1700000000:1700000000123:429:jabcde0123456789:not_now:12:abc123", "s:1:0:1700000000:1700000080000::jabcde01:::",
	"f:2:1:1700000000::1002::rejected:99:abc123", "d:1:0:1700000000::timeout:w000000123456789:unknown:60000:",
	"q:2:0:1700000000::decided_resend::person::", "q:1:0:1700000000::::", "w:3:2:1700000000:1700000000123:429:abcdef0123456789",
	"", ":", "q", "x:1:0::::", "a:-1:0::::", "a:+1:0::::", "a:1:x::::", "a:1:0:z:::", "a:1:0::z::", "a:1:0::::::z:", "A:1:0::::",
	"a:1:0::::::::", "a:1:0::::::", "a:1:0:::", "q:0:0:::::::\n", "aa:1:0::::", " a:1:0::::", "a: 1:0::::", "a:1.5:0::::", "a:0x1:0::::",
	"ñ:1:0::::", "a:1:0:::\x00:\xff", "a:1e3:0::::", "garbage", "a:1:0:1700000000::c\nd:r:::",
}

// What the scripts would not read, no list shows as a row with a state; and no script gives it out.
func TestTheScriptsAndTheListsReadTheSameRecords(t *testing.T) {
	t.Parallel()
	rdb := redistest.Client(t, miniredis.RunT(t).Addr())
	l := newLedger(t, rdb)
	launch(t, l, "c1", 1)
	for _, record := range records {
		if err := rdb.HSet(ctx, "pregon:{c1}:rows:0", "2", record).Err(); err != nil {
			t.Fatal(err)
		}
		_, _, read := l.Entry(ctx, "c1", 2)
		_, expired := l.Expire(ctx, "c1", 2)
		if n := strings.Count(record, ":"); n == 7 || n == 8 {
			continue // between the versions: a script may read it, a list does not
		}
		if errors.Is(read, ledger.ErrCorrupt) != errors.Is(expired, ledger.ErrCorrupt) {
			t.Errorf("%q: read %v, expired %v", record, read, expired)
		}
	}
}
