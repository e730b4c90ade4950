package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pregon/internal/ledger"
	"pregon/providers"
)

// TestTheWholeRun measures everything in small and reads the figures back.
func TestTheWholeRun(t *testing.T) {
	needRedis(t)
	if runtime.GOOS != "linux" {
		t.Skip("left out: the peak memory of a process is read from /proc")
	}
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"--json", "--rows", "600", "--messages", "300", "--memory-rows", "1000",
		"--check-rows", "50000", "--rounds", "1", "--concurrency", "8", "--appendfsync", "always"}, &out, &errs)
	if code != exitOK {
		t.Fatalf("exit status %d:\n%s", code, errs.String())
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v:\n%s", err, out.String())
	}
	for i, lines := range []int{3, 3, 2} {
		if len(r.Contests) != 3 || len(r.Contests[i].Lines) != lines {
			t.Fatalf("contest %d of %d has not its %d lines: %+v", i, len(r.Contests), lines, r.Contests)
		}
		for _, l := range r.Contests[i].Lines {
			if l.PerSecond.Median <= 0 || l.CPU.Median <= 0 {
				t.Errorf("%s: %+v took no time", r.Contests[i].Title, l)
			}
		}
	}
	if c := r.Check; c == nil || c.PeakMiB.Median <= c.StartMiB.Median || c.StartMiB.Median < 1 {
		t.Errorf("memory of check is %+v, want a peak above the start", c)
	}
	for _, w := range r.Memory {
		if w.Each <= 0 || w.Count < 1 {
			t.Errorf("%+v weighs nothing", w)
		}
	}
	if m := r.Machine; m.AppendFsync != "always" || m.Redis == "" || m.Rounds != 1 {
		t.Errorf("machine is %+v", m)
	}
}

func TestALaunchThatLeavesRowsOutIsNoMeasurement(t *testing.T) {
	s := newTestStand(t)
	path := filepath.Join(t.TempDir(), "one-bad.csv")
	content := "Teléfono,Nombre,Profesional,Fecha y hora\n3102002000,A,B,C\n310 CASA,A,B,C\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.launchTurn(t.Context(), path, 2); err == nil || !strings.Contains(err.Error(), "1 of 2") {
		t.Errorf("launching 1 of 2 rows: %v, want an error that says so", err)
	}
	if _, err := s.enqueueTurn(t.Context(), path, 3); err == nil || !strings.Contains(err.Error(), "2 of 3") {
		t.Errorf("enqueueing 2 of 3 rows: %v, want an error that says so", err)
	}
}

func TestMemoryIsThatOfTheData(t *testing.T) {
	s := newTestStand(t)
	before, err := s.usedMemory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const size = 4 << 20
	if err := s.rdb.Set(t.Context(), "x", strings.Repeat("x", size), 0).Err(); err != nil {
		t.Fatal(err)
	}
	after, err := s.usedMemory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if grown := after - before; grown < size || grown > size*4/3 {
		t.Errorf("%d bytes grew the memory by %d", size, grown)
	}
}

func TestMessagesLostOrDoubledAreNoMeasurement(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		status       int
		want         string
	}{
		{"all there", `{"total":3,"duplicates":0}`, 200, ""},
		{"one lost", `{"total":2,"duplicates":0}`, 200, "2 messages arrived, 0 of them twice; want 3"},
		{"one doubled", `{"total":3,"duplicates":1}`, 200, "3 messages arrived, 1 of them twice; want 3"},
		{"simulator in trouble", "", 503, "503"},
		{"not the simulator", "<html>", 200, "invalid character"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.answer))
			}))
			defer srv.Close()
			p := &provider{url: srv.URL, http: providers.NewHTTPClient()}
			defer p.http.CloseIdleConnections()
			err := p.expect(t.Context(), 3)
			if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

func TestRowsThatWentAstrayEndTheMeasurement(t *testing.T) {
	for _, state := range ledger.RowStates {
		fine := state != ledger.Failed && state != ledger.InDoubt && state != ledger.InvalidRow && state != ledger.SkippedRow
		if state == ledger.CancelledRow {
			continue // nobody cancels here
		}
		if err := astray(ledger.Status{Counts: ledger.Counts{state: 1}}); (err == nil) != fine {
			t.Errorf("a row that is %s: error %v", state, err)
		}
	}
}

func TestTheHandlerTakesNothingButAnAcceptedMessage(t *testing.T) {
	for answer, want := range map[string]bool{
		`{"code":1,"status":"success","messageId":"m-1"}`: true, `{"code":5,"status":"no balance"}`: false, "<html>": false,
	} {
		var form string
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			form = r.FormValue("mobile") + " " + r.FormValue("template_variables") + " " + r.FormValue("id_template")
			_, _ = w.Write([]byte(answer))
		}))
		h := newPlainHandler(srv.URL, 1)
		id, err := h.post(t.Context(), plainTask{Phone: "573102002000", Variables: []string{"Ana", "Dr. Ríos"}}, "ref")
		h.http.CloseIdleConnections()
		srv.Close()
		if (err == nil) != want || (id == "m-1") != want {
			t.Errorf("answer %s: id %q, error %v", answer, id, err)
		}
		if form != "573102002000 [Ana] [Dr. Ríos] 990" {
			t.Errorf("sent %q", form)
		}
	}
}
