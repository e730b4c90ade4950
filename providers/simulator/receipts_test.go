package simulator_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pregon/providers/simulator"
)

func TestReceiptsAreExactUnderConcurrentLoad(t *testing.T) {
	const clients, each, phones = 16, 150, 97
	s := start(t, simulator.Options{Balance: clients * each * 2, Cost: 2})
	// Every ending is one of these: accepted, refused and refunded, arrived without an answer, arrived then 500.
	suffixes := []string{"2000", "1002", "0000", "0500"}
	arrives := []bool{true, false, true, true}
	want := make(map[string]int)
	var wg sync.WaitGroup
	var accepted atomic.Int64
	wantAccepted, total := int64(0), 0
	for c := range clients {
		var sends []string
		for i := range each {
			kind := (c + i) % len(suffixes)
			phone := fmt.Sprintf("5731%04d%s", (c*each+i)%phones, suffixes[kind])
			sends = append(sends, phone)
			if arrives[kind] {
				want[phone]++
				total++
			}
			if kind == 0 {
				wantAccepted++
			}
		}
		wg.Go(func() {
			for _, phone := range sends {
				if got, err := s.postForm(simulator.SendPath, fields(phone)); err == nil && got.code() == 1 {
					accepted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	wantReceipts := simulator.Receipts{Total: total, Phones: want, Duplicates: total - len(want)}
	if diff := cmp.Diff(wantReceipts, s.Receipts()); diff != "" {
		t.Errorf("receipts (-want +got):\n%s", diff)
	}
	if accepted.Load() != wantAccepted {
		t.Errorf("clients were told of %d, want %d", accepted.Load(), wantAccepted)
	}
	ids := make(map[string]bool)
	got := make(map[string]int)
	for _, m := range s.Messages() {
		ids[m.MessageID] = true
		got[m.Mobile]++
	}
	if diff := cmp.Diff(want, got); diff != "" || len(ids) != total {
		t.Errorf("%d message ids for %d messages; messages per phone (-want +got):\n%s", len(ids), total, diff)
	}
	if account := s.Account(); account.Charged-account.Refunded != int64(2*total) ||
		account.Balance != int64(clients*each*2-2*total) {
		t.Errorf("account %+v after %d messages at 2", account, total)
	}
	if n, rate := s.Requests()[simulator.SendPath], s.Rate(); n != clients*each || rate.Total != clients*each {
		t.Errorf("%d requests, %d sends, want %d: a POST must not be repeated", n, rate.Total, clients*each)
	}
}

func TestTheLastUnitIsSpentOnce(t *testing.T) {
	const sends, balance = 120, 37
	s := start(t, simulator.Options{Balance: balance})
	var accepted, broke atomic.Int64
	var wg sync.WaitGroup
	for i := range sends {
		wg.Go(func() {
			got, err := s.postForm(simulator.SendPath, fields(fmt.Sprintf("57310556%04d", 3000+i)))
			if err != nil {
				t.Error(err)
			}
			switch got.code() {
			case 1:
				accepted.Add(1)
			case 5:
				broke.Add(1)
			}
		})
	}
	wg.Wait()
	if accepted.Load() != balance || broke.Load() != sends-balance || s.Account().Balance != 0 {
		t.Errorf("%d accepted, %d refused, balance %d", accepted.Load(), broke.Load(), s.Account().Balance)
	}
	s.SetBalance(1)
	if got := s.send(t, fields(goodPhone)); got.code() != 1 {
		t.Errorf("after a top-up: %q", got.body)
	}
}

func TestOnlyOneOfManyFirstPostsIsRefused(t *testing.T) {
	s := start(t, simulator.Options{})
	var refused atomic.Int64
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if got, err := s.postForm(simulator.SendPath, fields("573005550429")); err == nil && got.status == 429 {
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	if arrived, duplicates := s.Total(); refused.Load() != 1 || arrived != 39 || duplicates != 38 {
		t.Errorf("%d refused, %d arrived, %d duplicates", refused.Load(), arrived, duplicates)
	}
}

func TestRememberedMessagesAreBoundedButCountsAreNot(t *testing.T) {
	const sends = 5000
	for _, test := range []struct{ keep, atLeast, below int }{
		{0, sends, sends + 1}, {-1, 0, 1}, {1, 1, 1 + 1024}, {1500, 1500, 1500 + 1024}, {2048, 2048, 2048 + 1024},
	} {
		t.Run(fmt.Sprint(test.keep), func(t *testing.T) {
			log := simulator.NewTestLog(test.keep)
			for i := range sends {
				log.Add(fmt.Sprintf("57310%07d", i%4000), fmt.Sprint(i))
				if i%128 != 0 {
					continue
				}
				if kept := len(log.IDs()); kept < min(i+1, test.atLeast) || kept >= test.below {
					t.Fatalf("%d of %d messages are remembered", kept, i+1)
				}
			}
			ids := log.IDs()
			if len(ids) < test.atLeast || len(ids) >= test.below {
				t.Errorf("%d messages are remembered", len(ids))
			}
			for i, id := range ids {
				if id != fmt.Sprint(sends-len(ids)+i) {
					t.Fatalf("message %d of %d is %s: not the newest in order", i, len(ids), id)
				}
			}
			if total, duplicates := log.Count(); total != sends || duplicates != 1000 {
				t.Errorf("%d arrived, %d duplicates", total, duplicates)
			}
		})
	}
}

func TestWaitEndsWithTheArrivalOrTheContext(t *testing.T) {
	s := start(t, simulator.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	late := make(chan error, 1)
	go func() { late <- s.Wait(ctx, 3) }()
	arrived := make(chan error, 1)
	go func() { arrived <- s.Wait(t.Context(), 2) }()
	s.send(t, fields(goodPhone))
	s.send(t, fields(goodPhone))
	if err := <-arrived; err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-late; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := s.Wait(ctx, 2); err != nil {
		t.Errorf("what has happened already needs no context: %v", err)
	}
}

func TestReceiptsAreACopy(t *testing.T) {
	s := start(t, simulator.Options{})
	s.send(t, fields(goodPhone))
	s.Receipts().Phones[goodPhone] = 7
	checkArrived(t, s, goodPhone, 1)
}

func TestReadingWhileMessagesArriveIsConsistent(t *testing.T) {
	s := start(t, simulator.Options{KeepMessages: 2000})
	var wg sync.WaitGroup
	for c := range 4 {
		wg.Go(func() {
			for i := range 800 {
				if _, err := s.postForm(simulator.SendPath, fields(fmt.Sprintf("5731%d%03d2222", c, i/2))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		receipts, sum := s.Receipts(), 0
		for _, n := range receipts.Phones {
			sum += n
		}
		if sum != receipts.Total || receipts.Duplicates != sum-len(receipts.Phones) {
			t.Fatalf("total %d, duplicates %d, sum %d", receipts.Total, receipts.Duplicates, sum)
		}
		for _, m := range s.Messages() {
			if m.Mobile == "" || m.MessageID == "" || len(m.Variables) != 3 {
				t.Fatalf("half a message: %+v", m)
			}
		}
	}
	if total, duplicates := s.Total(); total != 3200 || duplicates != 1600 {
		t.Errorf("%d arrived, %d duplicates", total, duplicates)
	}
}
