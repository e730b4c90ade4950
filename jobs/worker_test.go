package jobs

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"pregon/campaign"
	"pregon/internal/ledger"
	"pregon/providers/simulator"
)

func TestTwoWorkersSendEachRowOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{Latency: 5 * time.Millisecond})
		people := contacts(300)
		file := append(people[:300:300], contact{"31877x", canaryName, "1 %"}, people[7])
		id := s.launch(file)
		s.work()
		s.work()
		s.becomes(id, ledger.Finished, "")
		s.wantOnce(people)
		s.wantCounts(id, ledger.Counts{ledger.Accepted: 300, ledger.InvalidRow: 1, ledger.SkippedRow: 1})
		s.idle()
		if coming, aside := s.hints(id); coming != 0 || aside != 0 {
			t.Errorf("%d hints are left, %d aside", coming, aside)
		}
		await(t, "the workers let go of the campaign", func() bool {
			active, err := s.ledger.Active(ctx)
			return err == nil && len(active) == 0
		})
		rows := s.results(id)
		for _, m := range s.provider.Messages() {
			checkMessage(t, s, id, rows, m)
		}
	})
}

// last is the number of a row's last attempt: claims given back, as on a busy machine, count there.
func last(r Result) int {
	if len(r.History) == 0 {
		return 0
	}
	return r.History[len(r.History)-1].Attempt
}

// checkMessage compares what arrived with the row that it was for, and looks its message id up.
func checkMessage(t *testing.T, s *stage, id string, rows map[int]Result, m simulator.Message) {
	t.Helper()
	var row, fence int
	if _, err := fmt.Sscanf(strings.TrimPrefix(m.CustomField, "p1|"+id+":"), "%d:%d|", &row, &fence); err != nil {
		t.Fatalf("custom_field %q names no row: %v", m.CustomField, err)
	}
	r := rows[row]
	if r.Phone != m.Mobile || r.MessageID != m.MessageID || last(r) != fence || r.State != ledger.Accepted {
		t.Errorf("row %d is %s with message %s at attempt %d; %s arrived of attempt %d", row, r.State, r.MessageID,
			last(r), m.MessageID, fence)
	}
	if m.Template != "991" || len(m.Variables) != 2 || m.Variables[1] != m.Mobile[8:]+" %" {
		t.Errorf("row %d arrived with template %s and variables %v", row, m.Template, m.Variables[1:])
	}
	place, ok, err := s.ledger.Find(ctx, "cv", m.MessageID, time.Now())
	if err != nil || !ok || place != (ledger.Place{Campaign: id, Row: row, Fence: fence}) {
		t.Errorf("message of row %d is indexed as %+v %v %v", row, place, ok, err)
	}
}

func TestPauseStopsWhatHasNotBegunAndResumeGoesOn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{Latency: 20 * time.Millisecond})
		s.account.Rate = 60
		people := contacts(120)
		id := s.launch(people)
		s.work()
		s.work()
		s.arrived(30)
		if err := s.operator().Pause(ctx, id, "revisar"); err != nil {
			t.Fatal(err)
		}
		// From now on no claim is given: whatever arrives yet was claimed before.
		paused := s.status(id)
		claimed := paused.Counts[ledger.Accepted] + paused.Counts[ledger.Sending]
		s.idle()
		arrived, _ := s.provider.Total()
		after := s.becomes(id, ledger.Paused, reasonOperator)
		if arrived > claimed || arrived != after.Counts[ledger.Accepted] || after.Counts[ledger.Sending] != 0 {
			t.Errorf("%d arrived, of %d claimed when the pause returned; now %v", arrived, claimed, after.Counts)
		}
		if after.Counts[ledger.Queued] == 0 || after.Detail != "revisar" {
			t.Errorf("paused too late to show anything: %v, detail %q", after.Counts, after.Detail)
		}
		await(t, "the queue shows the pause", func() bool {
			info, err := s.queue.GetQueueInfo(id)
			return err == nil && info.Paused
		})
		if err := s.operator().Resume(ctx, id); err != nil {
			t.Fatal(err)
		}
		s.becomes(id, ledger.Finished, "")
		s.wantOnce(people)
		s.wantCounts(id, ledger.Counts{ledger.Accepted: 120})
	})
}

func TestCancelLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{Latency: 20 * time.Millisecond})
		s.account.Rate = 60
		id := s.launch(append(contacts(120), special("0429")))
		s.work()
		s.work()
		s.arrived(20)
		if err := s.operator().Cancel(ctx, id, "archivo equivocado"); err != nil {
			t.Fatal(err)
		}
		await(t, "the workers let go of the campaign", func() bool {
			active, err := s.ledger.Active(ctx)
			return err == nil && len(active) == 0
		})
		s.idle()
		if coming, _ := s.hints(id); coming != 0 {
			t.Errorf("%d hints are left", coming)
		}
		arrived, _ := s.provider.Total()
		counts := s.status(id).Counts
		if counts[ledger.Accepted] != arrived || counts[ledger.CancelledRow] != 121-arrived || arrived > 100 {
			t.Errorf("%d arrived: %v", arrived, counts)
		}
		if err := s.operator().Resume(ctx, id); err == nil {
			t.Error("a cancelled campaign was resumed")
		}
	})
}

// clock is a worker's clock that a test sets, and that counts how often it was read.
type clock struct {
	now   atomic.Pointer[time.Time]
	reads atomic.Int64
}

func newClock(t time.Time) *clock {
	c := new(clock)
	c.set(t)
	return c
}

func (c *clock) set(t time.Time) { c.now.Store(&t) }

func (c *clock) on(w *Worker) {
	w.now = func() time.Time {
		c.reads.Add(1)
		return *c.now.Load()
	}
}

// looked waits until the worker has looked at its clock a few times more.
func (c *clock) looked(s *stage, id string) {
	s.t.Helper()
	until := c.reads.Load() + 3
	await(s.t, "the worker looks at its clock", func() bool {
		s.nudge(id)
		return c.reads.Load() >= until
	})
}

func TestAScheduledCampaignWaitsForItsTime(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{})
		at := time.Now().Add(time.Hour)
		people := contacts(10)
		id := s.launch(people, func(l *Launch) { l.At = at })
		c := newClock(at.Add(-time.Second))
		s.work(c.on)
		s.becomes(id, ledger.Scheduled, "")
		c.looked(s, id)
		s.becomes(id, ledger.Scheduled, "")
		if arrived, _ := s.provider.Total(); arrived != 0 {
			t.Fatalf("%d messages arrived before the time", arrived)
		}
		c.set(at)
		s.becomes(id, ledger.Finished, "")
		s.wantOnce(people)
	})
}

func TestACampaignCancelledBeforeItsTimeIsLetGo(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{})
		id := s.launch(contacts(3), func(l *Launch) { l.At = time.Now().Add(time.Hour) })
		s.work()
		if err := s.operator().Cancel(ctx, id, ""); err != nil {
			t.Fatal(err)
		}
		await(t, "the worker lets go of the campaign", func() bool {
			s.nudge(id)
			active, err := s.ledger.Active(ctx)
			return err == nil && len(active) == 0
		})
		s.wantCounts(id, ledger.Counts{ledger.CancelledRow: 3})
	})
}

// moment looks ahead from now, in whole hours, for a time at which Colombia is open or closed for marketing.
func moment(t *testing.T, open bool) time.Time {
	t.Helper()
	schedule := campaign.Hours("CO", campaign.Marketing)
	for at := time.Now().Truncate(time.Hour).Add(time.Hour); ; at = at.Add(time.Hour) {
		if got, _ := schedule.Open(at); got == open {
			return at
		}
	}
}

func TestNobodyIsContactedOutsideContactHours(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{})
		people := contacts(10)
		id := s.launch(people, func(l *Launch) { l.AnyHour = false })
		c := newClock(moment(t, false))
		s.work(c.on)
		paused := s.becomes(id, ledger.Paused, reasonWindow)
		if !strings.HasPrefix(paused.Detail, "opens ") {
			t.Errorf("detail %q does not say when it opens", paused.Detail)
		}
		c.looked(s, id)
		s.becomes(id, ledger.Paused, reasonWindow)
		s.wantCounts(id, ledger.Counts{ledger.Queued: 10})
		if arrived, _ := s.provider.Total(); arrived != 0 {
			t.Fatalf("%d messages arrived outside contact hours", arrived)
		}
		c.set(moment(t, true))
		s.becomes(id, ledger.Finished, "")
		s.wantOnce(people)
	})
}

func TestARefusedForNowRowIsSentLaterOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{})
		people := append(contacts(3), special("0429"))
		id := s.launch(people)
		s.work()
		s.becomes(id, ledger.Finished, "")
		s.wantOnce(people)
		s.wantCounts(id, ledger.Counts{ledger.Accepted: 4})
		rows := s.results(id)
		for row, attempts := range map[int]int{2: 1, 5: 2} {
			if rows[row].Attempts != attempts || rows[row].Code != "" {
				t.Errorf("row %d: %d attempts and code %q, want %d and none", row, rows[row].Attempts, rows[row].Code, attempts)
			}
		}
	})
}

func TestWhatMayHaveLeftIsInDoubtAndNeverSentAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{})
		lost := []contact{special("0000"), special("0500"), special("0502"), special("0200"), special("0408")}
		people := append(contacts(3), special("0777"))
		refused := []contact{special("1002"), special("9999"), special("0503")} // nothing arrives of these
		id := s.launch(append(append(lost, people...), refused...))
		s.work()
		s.becomes(id, ledger.Finished, "")
		s.wantOnce(append(lost, people...))
		s.wantCounts(id, ledger.Counts{ledger.Accepted: 4, ledger.InDoubt: 7, ledger.Failed: 1})
		codes := map[string]int{
			"reset": 1, "http_500": 1, "http_502": 1, "http_503": 1, "not_json": 1, "timeout": 1, "1002": 1, "9999": 1,
		}
		if diff := cmp.Diff(codes, s.status(id).Codes); diff != "" {
			t.Errorf("codes (-want +got):\n%s", diff)
		}
		// The dashboard shows each with what a person may do about it.
		shown, err := s.queue.ListArchivedTasks(id)
		if err != nil {
			t.Fatal(err)
		}
		doubts, retries := 0, 0
		for _, task := range shown {
			doubts += strings.Count(task.LastErr, "; enqueue doubt")
			retries += strings.Count(task.LastErr, "; enqueue retry")
		}
		if len(shown) != 8 || doubts != 7 || retries != 1 {
			t.Errorf("%d hints are kept aside, %d in doubt and %d failed", len(shown), doubts, retries)
		}
	})
}

func TestAStoppedWorkerDrainsAndAnotherFinishes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{Latency: 100 * time.Millisecond})
		s.account.Rate = 80
		people := contacts(120)
		id := s.launch(people)
		stop := s.work()
		s.arrived(40)
		stop()
		arrived, _ := s.provider.Total()
		counts := s.status(id).Counts
		if counts[ledger.InDoubt] != 0 || counts[ledger.Sending] != 0 || counts[ledger.Accepted] != arrived ||
			counts[ledger.Queued] == 0 {
			t.Errorf("%d arrived before the worker stopped: %v", arrived, counts)
		}
		s.work()
		s.becomes(id, ledger.Finished, "")
		s.wantOnce(people)
		s.wantCounts(id, ledger.Counts{ledger.Accepted: 120})
	})
}
