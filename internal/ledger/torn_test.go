package ledger_test

import (
	"os"
	"testing"

	"pregon/internal/ledger"
)

// Redis is killed in the midst of writing what a script did: it keeps all of it or nothing, wherever the file ends.
func TestATornFileKeepsAScriptWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	s := newStage(t, 1)
	before := s.size()
	s.send(ana, 2, ledger.Outcome{State: ledger.Failed, Code: "1002", Class: "rejected", Why: "no WhatsApp"})
	whole, err := os.ReadFile(s.file())
	if err != nil {
		t.Fatal(err)
	}
	claimed := false
	for size := before; size <= int64(len(whole)); size++ {
		if rest := whole[size:]; len(rest) > 0 && rest[0] != '*' && size%97 != 0 {
			continue // the end of each command, and some places within
		}
		s.kill()
		if err := os.WriteFile(s.file(), whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		s.start()
		status, err := s.l.Status(ctx, "c1")
		if err != nil {
			t.Fatal(err)
		}
		e := entry(t, s.l, "c1", 2)
		if status.Counts[e.State] != 1 || status.Counts.Total() != status.Campaign.Rows {
			t.Errorf("%d of %d bytes: row %+v, counts %v", size-before, int64(len(whole))-before, e.Record, status.Counts)
		}
		claimed = claimed || e.State == ledger.Sending
	}
	if !claimed {
		t.Error("no cut came between the claim and the settle")
	}
}
