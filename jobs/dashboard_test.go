package jobs

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/providers/simulator"
)

// dashboard is asynqmon as published, on the same Redis.
func (s *stage) dashboard() (call func(method, path string) (status int, body string)) {
	s.t.Helper()
	monitor := asynqmon.New(asynqmon.Options{RedisConnOpt: asynq.RedisClientOpt{Addr: s.addr}})
	web := httptest.NewServer(monitor)
	s.t.Cleanup(func() {
		web.Close()
		if err := monitor.Close(); err != nil {
			s.t.Errorf("close asynqmon: %v", err)
		}
	})
	client := web.Client()
	s.t.Cleanup(client.CloseIdleConnections)
	return func(method, path string) (int, string) {
		s.t.Helper()
		req, err := http.NewRequestWithContext(s.t.Context(), method, web.URL+"/api"+path, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		answer, err := client.Do(req)
		if err != nil {
			s.t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		if found := canaries.FindString(string(body)); found != "" {
			s.t.Errorf("%s %s shows %q", method, path, found)
		}
		return answer.StatusCode, string(body)
	}
}

func TestTheDashboardShowsAndSteersACampaign(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{Latency: 100 * time.Millisecond})
		s.account.Rate = 12
		// Some rows end aside, some wait for another try, and one hangs: every list of the dashboard has something in it.
		people := append([]contact{special("1002"), special("0500"), special("0408"), special("0429")}, contacts(60)...)
		id := s.launch(people)
		s.work()
		call := s.dashboard()
		var pending, active, archived, retry bool // each at some time: hints pass through
		await(t, "every list had a hint", func() bool {
			if info, err := s.queue.GetQueueInfo(id); err == nil {
				pending, active = pending || info.Pending > 0, active || info.Active > 0
				archived, retry = archived || info.Archived > 0, retry || info.Retry > 0
			}
			return pending && active && archived && retry
		})
		lists(t, call, id)
		if status, body := call(http.MethodPost, "/queues/"+id+":pause"); status != http.StatusNoContent {
			t.Fatalf("pause: %d %s", status, body)
		}
		paused := s.becomes(id, ledger.Paused, reasonAsynqmon)
		if paused.Counts.Open() == 0 {
			t.Fatal("the campaign was over before the pause")
		}
		s.idle()
		lists(t, call, id)
		for range 3 { // the machine does not lift it
			s.nudge(id)
			s.becomes(id, ledger.Paused, reasonAsynqmon)
		}
		if status, body := call(http.MethodPost, "/queues/"+id+":resume"); status != http.StatusNoContent {
			t.Fatalf("resume: %d %s", status, body)
		}
		s.becomes(id, ledger.Finished, "")
		s.wantCounts(id, ledger.Counts{ledger.Accepted: 61, ledger.Failed: 1, ledger.InDoubt: 2})
		if arrived, twice := s.provider.Total(); arrived != 63 || twice != 0 {
			t.Errorf("%d messages arrived, %d of them twice, want 63", arrived, twice)
		}
		lists(t, call, id)
	})
}

// lists reads everything the dashboard has to show about a campaign, and every hint by itself.
func lists(t *testing.T, call func(method, path string) (int, string), id string) {
	t.Helper()
	get := func(path string) string {
		t.Helper()
		status, body := call(http.MethodGet, path)
		if status != http.StatusOK {
			t.Errorf("GET %s: %d %s", path, status, body)
		}
		return body
	}
	if body := get("/queues"); !strings.Contains(body, `"queue":"`+id+`"`) {
		t.Errorf("the campaign's queue is not listed: %s", body)
	}
	get("/queues/" + id)
	get("/queue_stats")
	get("/servers")
	get("/scheduler_entries")
	for _, list := range []string{"pending", "active", "retry", "archived", "scheduled", "completed"} {
		var tasks struct {
			Tasks []struct {
				ID string `json:"id"`
			} `json:"tasks"`
		}
		body := get("/queues/" + id + "/" + list + "_tasks?size=200")
		if err := json.Unmarshal([]byte(body), &tasks); err != nil {
			t.Fatalf("%s tasks: %v", list, err)
		}
		if size := min(len(tasks.Tasks), 5); size > 0 {
			for _, task := range slices.Concat(tasks.Tasks[:size], tasks.Tasks[len(tasks.Tasks)-size:]) {
				// A hint may be done, and so gone, since it was listed.
				status, body := call(http.MethodGet, "/queues/"+id+"/tasks/"+task.ID)
				if status/100 != 2 && status != http.StatusNotFound {
					t.Errorf("task %s: %d %s", task.ID, status, body)
				}
			}
		}
	}
}

// TestArchivingAndDeletingInTheDashboardLosesNoRow takes hints away from a campaign whose rows are still open.
func TestArchivingAndDeletingInTheDashboardLosesNoRow(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		t.Parallel()
		s := newStage(t, rdb, simulator.Options{})
		s.account.Rate = 0.01 // the first slots lie far ahead: nothing is sent meanwhile
		people := contacts(40)
		id := s.launch(people)
		limiter := NewLimiter(rdb, "cv", s.account.Rate, 1)
		if _, err := limiter.Take(ctx); err != nil {
			t.Fatal(err)
		}
		c := newClock(time.Now())
		s.work(c.on)
		call := s.dashboard()
		await(t, "the hints are there", func() bool { coming, _ := s.hints(id); return coming == 40 })
		for method, path := range map[string]string{
			http.MethodPost: "/pending_tasks:archive_all", http.MethodDelete: "/pending_tasks:delete_all",
		} {
			if status, body := call(method, "/queues/"+id+path); status/100 != 2 {
				t.Fatalf("%s: %d %s", path, status, body)
			}
		}
		c.looked(s, id)
		c.set(time.Now().Add(2 * lostAfter)) // fewer hints than open rows for that long
		await(t, "the open rows are hinted anew", func() bool {
			s.nudge(id)
			return control(t, s.ledger, id).Generation == 2
		})
		await(t, "each open row has a hint again", func() bool {
			s.nudge(id)
			coming, _ := s.hints(id)
			return coming >= 40
		})
		s.wantCounts(id, ledger.Counts{ledger.Queued: 40})
	})
}
