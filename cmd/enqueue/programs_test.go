package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTwoWorkersShareACampaignAndOneIsStopped(t *testing.T) {
	t.Parallel()
	w := newTown(t, "--latency", "20ms", "--jitter", "20ms")
	w.env = append(w.env, "CONTACTOVIRTUAL_RATE=300", "CONTACTOVIRTUAL_BURST=5")
	const rows = 600
	first, second := w.worker(), w.worker()
	launched := w.start("enqueue", launching(w.file("seiscientos.csv", people(rows)), "Dos", "--wait", "--json")...)
	w.eventually("both workers serve the campaign", func() bool { return w.servers() == 2 })
	if _, ok := w.receipts(100, deadline); !ok {
		t.Fatal("no 100 messages")
	}
	first.signal(syscall.SIGTERM)
	stopped := first.wait().exits(0)
	if !strings.Contains(stopped.err, "worker stopped") {
		t.Errorf("it did not say that it stopped:\n%s", stopped.err)
	}
	if r, _ := w.receipts(0, deadline); r.Total >= rows {
		t.Fatal("the campaign was over before the worker stopped: this proves nothing")
	}
	doc := checkShape(launched.wait().exits(exitOK), runNames)
	if doc.Status.Counts["accepted"] != rows || doc.Status.Counts["in_doubt"] != 0 {
		t.Errorf("%v", doc.Status.Counts)
	}
	w.onceEach(rows)
	second.signal(syscall.SIGTERM)
	second.wait().exits(0)
	jsonLogs(t, stopped.err)
}

// servers counts the campaign servers that the queue library knows of: one per worker and campaign.
func (w *town) servers() int {
	n, err := w.rdb.ZCard(w.t.Context(), "asynq:servers").Result()
	if err != nil {
		w.t.Fatal(err)
	}
	return int(n)
}

// jsonLogs checks that every line of a log is a record: nothing writes past the logger.
func jsonLogs(t *testing.T, text string) {
	t.Helper()
	for _, record := range lines[map[string]any](t, text) {
		if record["msg"] == "" || record["level"] == "" {
			t.Errorf("%v", record)
		}
	}
}

func TestALaunchThatIsKilledIsFinishedByTheSameCommand(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.worker()
	const rows, pages = 400, 2
	path := w.file("muchos.csv", people(rows))
	points := map[string]func(id string) bool{
		"at its first key": func(id string) bool { return w.keys("pregon:{"+id+"}:*") >= 1 },
		"at its key":       func(id string) bool { return w.keys("pregon:{"+id+"}:key") >= 1 },
		"at its first page": func(id string) bool {
			return w.keys("pregon:{"+id+"}:page:*") >= 1
		},
		"at its last page": func(id string) bool { return w.keys("pregon:{"+id+"}:page:*") >= pages },
		"at its commit":    func(id string) bool { return w.keys("pregon:{"+id+"}:control") >= 1 },
		"at once":          func(string) bool { return true },
	}
	n := 0
	for point, reached := range points {
		n++
		name := fmt.Sprintf("Corte %d", n)
		id := w.killed(path, name, point, reached)
		done := checkShape(w.enqueue(launching(path, name, "--wait", "--json")...).exits(exitOK), runNames)
		if done.Campaign != id && id != "" {
			t.Errorf("killed %s: campaign %s, then %s", point, id, done.Campaign)
		}
		if done.Status.Counts["accepted"] != rows {
			t.Errorf("killed %s: %v", point, done.Status.Counts)
		}
		w.onceEach(rows)
		w.numbersOnce(done.Campaign, rows)
		w.reset()
	}
	if list := parsed[[]statusDoc](w.enqueue("list", "--json")); len(list) != len(points) {
		t.Errorf("%d campaigns, want one per name", len(list))
	}
}

func TestALargeLaunchThatIsKilledAmongItsPages(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	const rows = 40_000
	var b strings.Builder
	b.WriteString("Nombre,Celular,Descuento\n")
	for i := range rows {
		fmt.Fprintf(&b, "Persona %d,31%08d,10 %%\n", i, i)
	}
	path := w.file("grande.csv", b.String())
	later := []string{"--at", time.Now().Add(24 * time.Hour).Format(time.RFC3339)}
	id := w.killed(path, "Grande", "among its pages", func(id string) bool { return w.keys("pregon:{"+id+"}:page:*") >= 1 }, later...)
	if s := statusOf(w.enqueue("status", id, "--json").exits(exitOK)); s.State != "draft" {
		t.Logf("it was quicker: %s", s.State)
	}
	done := checkShape(w.enqueue(launching(path, "Grande", append(later, "--json")...)...).exits(exitOK), runNames)
	s := statusOf(w.enqueue("status", done.Campaign, "--json").exits(exitOK))
	if done.Campaign != id || s.State != "scheduled" || s.Counts["queued"] != rows {
		t.Errorf("campaign %s of %s: %+v", done.Campaign, id, s)
	}
	w.numbersOnce(id, rows)
}

// killed starts a launch several times and kills it with SIGKILL each time, as soon as Redis shows a point or after ever
// later looks at it. It returns the campaign's id if one was begun.
func (w *town) killed(path, name, point string, reached func(id string) bool, flags ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), deadline)
	defer cancel()
	slug := strings.ToLower(strings.ReplaceAll(name, " ", "-")) + "-*"
	for try := range 3 {
		p := w.start("enqueue", launching(path, name, flags...)...)
		for looks := 0; !reached(slug) || (point == "at once" && looks < try*8); looks++ {
			select {
			case <-p.ended:
				return w.campaignOf(slug) // quicker than the eye
			case <-ctx.Done():
				w.t.Fatalf("never %s:\n%s", point, p.err.String())
			default:
			}
		}
		p.signal(syscall.SIGKILL)
		p.wait()
		w.t.Logf("killed %s: %d pages, %d commits", point, w.keys("pregon:{"+slug+"}:page:*"), w.keys("pregon:{"+slug+"}:control"))
	}
	return w.campaignOf(slug)
}

func (w *town) campaignOf(slug string) string {
	names, err := w.rdb.Keys(w.t.Context(), "pregon:{"+slug+"}:*").Result()
	if err != nil {
		w.t.Fatal(err)
	}
	ids := map[string]bool{}
	id := ""
	for _, n := range names {
		id = n[strings.Index(n, "{")+1 : strings.Index(n, "}")]
		ids[id] = true
	}
	if len(ids) > 1 {
		w.t.Errorf("one command made %d campaigns", len(ids))
	}
	return id
}

// numbersOnce checks that every row of the file is in the results once.
func (w *town) numbersOnce(id string, rows int) {
	w.t.Helper()
	seen := []int{}
	for _, r := range parsed[[]resultDoc](w.enqueue("results", id, "--json").exits(exitOK)) {
		seen = append(seen, r.Row)
	}
	if len(seen) != rows || !slices.IsSorted(seen) || len(slices.Compact(seen)) != rows {
		w.t.Errorf("%d rows in the results of %s, want %d, each once", len(seen), id, rows)
	}
}

func (w *town) reset() {
	w.t.Helper()
	answer, err := w.http.Post(w.provider+"/_sim/reset", "", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = answer.Body.Close()
}

func TestSIGINTWhileWaitingLeavesTheCampaignGoing(t *testing.T) {
	t.Parallel()
	w := newTown(t, "--latency", "10ms")
	w.env = append(w.env, "CONTACTOVIRTUAL_RATE=100", "CONTACTOVIRTUAL_BURST=1")
	w.worker()
	const rows = 150
	p := w.start("enqueue", launching(w.file("ciento.csv", people(rows)), "Sigue", "--wait", "--json")...)
	if _, ok := w.receipts(10, deadline); !ok {
		t.Fatal("no 10 messages")
	}
	p.signal(os.Interrupt)
	doc := checkShape(p.wait().exits(exitInterrupted).says("La campaña sigue"), runNames)
	if doc.Status.Counts["accepted"] >= rows {
		t.Error("it was over already: this proves nothing")
	}
	s := statusOf(w.enqueue("status", doc.Campaign, "--follow", "--json").exits(exitOK))
	if s.Counts["accepted"] != rows {
		t.Errorf("%v", s.Counts)
	}
	w.onceEach(rows)
}

func TestPauseStopsWhatArrivesAndResumeFinishes(t *testing.T) {
	t.Parallel()
	w := newTown(t, "--latency", "20ms")
	w.env = append(w.env, "CONTACTOVIRTUAL_RATE=100", "CONTACTOVIRTUAL_BURST=1")
	w.worker()
	w.worker()
	const rows = 120
	id := checkShape(w.enqueue(launching(w.file("ciento.csv", people(rows)), "Pausa", "--json")...), runNames).Campaign
	if _, ok := w.receipts(20, deadline); !ok {
		t.Fatal("no 20 messages")
	}
	statusOf(w.enqueue("pause", id, "--json").exits(exitOK))
	w.eventually("what was in flight ends", func() bool {
		return statusOf(w.enqueue("status", id, "--json")).Counts["sending"] == 0
	})
	paused := statusOf(w.enqueue("status", id, "--json"))
	sent, _ := w.receipts(0, deadline)
	if paused.State != "paused" || paused.Counts["accepted"] != sent.Total || sent.Total >= rows {
		t.Fatalf("%d arrived; %+v", sent.Total, paused)
	}
	if r, more := w.receipts(sent.Total+1, 1500*time.Millisecond); more {
		t.Fatalf("%d messages arrived after the pause", r.Total-sent.Total)
	}
	statusOf(w.enqueue("resume", id, "--json").exits(exitOK))
	statusOf(w.enqueue("status", id, "--follow", "--json").exits(exitOK))
	w.onceEach(rows)
}

func TestEmbeddedProgram(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	path := w.file("cien.csv", people(100))
	doc := checkShape(w.enqueue(launching(path, "Sola", "--embedded", "--json")...).exits(exitOK), runNames)
	if doc.Status.Counts["accepted"] != 100 {
		t.Errorf("%v", doc.Status.Counts)
	}
	w.onceEach(100)
	if n := w.keys("*"); n != 0 {
		t.Errorf("%d keys in the configured Redis", n)
	}
}

func TestProgramsStartedAtOnceShareOneMasterKey(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	path := w.file("diez.csv", people(10))
	started := make([]*process, 0, 6)
	for i := range cap(started) {
		started = append(started, w.start("enqueue", launching(path, fmt.Sprintf("Llave %d", i), "--json")...))
	}
	ids := []string{}
	for _, p := range started {
		ids = append(ids, checkShape(p.wait().exits(exitOK), runNames).Campaign)
	}
	dir := setupDir(&house{t: t, env: w.env})
	info, err := os.Stat(filepath.Join(dir, "master.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v, %v", info, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%d files beside the key (%v)", len(left)-1, err)
	}
	for _, id := range ids { // every process had the key that is in the file
		w.numbersOnce(id, 10)
	}
}

func TestAProgramThatIsKilledLeavesNobodyOnDisk(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	tmp := ""
	for _, e := range w.env {
		if dir, ok := strings.CutPrefix(e, "TMPDIR="); ok {
			tmp = dir
		}
	}
	p := &process{t: t, name: "enqueue", cmd: exec.Command(filepath.Join(w.bin, "enqueue"), "check", "-")}
	p.cmd.Env = w.env
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// More than a pipe holds: when it is written, the program has begun to keep it.
	if _, err := io.WriteString(stdin, strings.Repeat(people(100), 100)); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("%d files are left (%v): %v", len(left), err, left)
	}
}

func TestRedisWithoutMemoryRefusesTheLaunch(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	if err := w.rdb.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	path := w.file("dos.csv", people(2))
	w.enqueue(launching(path, "Llena")...).exits(exitUnavailable).says("Redis no pudo hacer lo que se le pidió", "OOM")
	if err := w.rdb.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	w.worker()
	checkShape(w.enqueue(launching(path, "Llena", "--wait", "--json")...).exits(exitOK), runNames)
	w.onceEach(2)
}

func TestNothingWritesPastTheProgram(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	away := *w
	away.env = append(slices.Clone(w.env), "REDIS_URL=redis://127.0.0.1:1")
	o := away.enqueue("list").exits(exitUnavailable).silent()
	if n := strings.Count(o.err, "\n"); n != 2 || !strings.HasPrefix(o.err, "enqueue: No hay conexión con Redis") {
		t.Errorf("%d lines, want what happened and its detail:\n%s", n, o.err)
	}
	worker := w.worker()
	checkShape(w.enqueue(launching(w.file("dos.csv", people(2)), "A", "--wait", "--json")...).exits(exitOK), runNames)
	_ = w.rdb.ShutdownNoSave(t.Context()).Err() // it ends without an answer
	w.eventually("the worker misses Redis", func() bool { return strings.Contains(worker.err.String(), "campaigns not read") })
	worker.signal(syscall.SIGTERM)
	jsonLogs(t, worker.wait().exits(0).err)
}

func TestTheSameCommandTwiceAtOnceLaunchesOnce(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.worker()
	const rows = 200
	path := w.file("doble.csv", people(rows))
	started := make([]*process, 0, 4)
	for range cap(started) {
		started = append(started, w.start("enqueue", launching(path, "Doble", "--wait", "--json")...))
	}
	ids := []string{}
	for _, p := range started {
		doc := checkShape(p.wait().exits(exitOK), runNames)
		ids = append(ids, doc.Campaign)
		if doc.Status.Counts["accepted"] != rows {
			t.Errorf("%v", doc.Status.Counts)
		}
	}
	if len(slices.Compact(ids)) != 1 {
		t.Errorf("campaigns %q", ids)
	}
	w.onceEach(rows)
}
