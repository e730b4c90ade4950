package jobs

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"pregon/internal/ledger"
	"pregon/internal/redistest"
	"pregon/providers/simulator"
)

// onRedis runs f on a real Redis that can be killed: miniredis has no runs.
func onRedis(t *testing.T, f func(t *testing.T, s *stage, redis *redistest.Server)) {
	t.Helper()
	t.Parallel()
	server := redistest.Serve(t)
	f(t, newStage(t, redistest.Client(t, server.Addr), simulator.Options{}), server)
}

func TestWhatRedisForgotIsNotSentAgain(t *testing.T) {
	onRedis(t, func(t *testing.T, s *stage, server *redistest.Server) {
		people := contacts(400)
		id := s.launch(people)
		s.work()
		s.work()
		s.arrived(60)
		kept := server.Written()
		s.arrived(160) // of which Redis will know 60, or a few more
		server.Kill()
		server.Forget(kept)
		server.Restart()
		s.becomes(id, ledger.Finished, "")
		s.wantOnce(people)
		s.wantCounts(id, ledger.Counts{ledger.Accepted: 400})
		if !strings.Contains(s.log.String(), "redis had forgotten what was sent") {
			t.Error("nothing was said again: this proves nothing")
		}
	})
}

func TestAJournalThatIsMissedHoldsTheCampaignUntilAPersonSaysSo(t *testing.T) {
	onRedis(t, func(t *testing.T, s *stage, server *redistest.Server) {
		people := contacts(200)
		id := s.launch(people)
		s.work()
		s.arrived(20)
		workers := "pregon:{" + id + "}:workers"
		err := s.rdb.ZAdd(ctx, workers, redis.Z{Score: float64(time.Now().UnixMilli()), Member: "jabcde"}).Err()
		if err != nil {
			t.Fatal(err)
		}
		server.Kill()
		server.Restart()
		control := "pregon:{" + id + "}:control"
		await(t, "the workers stand before the barrier", func() bool { return s.rdb.HExists(ctx, control, "barrier").Val() })
		sent, _ := s.provider.Total()
		long := time.Now().Add(-epochPatience).UnixMilli()
		if err := s.rdb.HSet(ctx, control, "barrier_at", long).Err(); err != nil {
			t.Fatal(err)
		}
		status := s.becomes(id, ledger.Paused, reasonEpoch)
		if !strings.Contains(status.Detail, "jabcde") {
			t.Errorf("it does not say who is missed: %q", status.Detail)
		}
		if now, _ := s.provider.Total(); now > sent+16 || now == len(people) {
			t.Errorf("%d messages arrived, %d before the barrier", now, sent)
		}
		if err := s.operator().Resume(ctx, id); err != nil {
			t.Fatal(err)
		}
		s.becomes(id, ledger.Finished, "")
		s.wantOnce(people)
	})
}

func TestARestartThatLostNothingCostsSecondsAndNoMessage(t *testing.T) {
	onRedis(t, func(t *testing.T, s *stage, server *redistest.Server) {
		people := contacts(300)
		id := s.launch(people)
		s.work()
		s.work()
		s.arrived(50)
		server.Kill()
		server.Restart()
		s.becomes(id, ledger.Finished, "")
		s.wantOnce(people)
		s.wantCounts(id, ledger.Counts{ledger.Accepted: 300})
	})
}
