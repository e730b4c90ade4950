package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"pregon/campaign"
	"pregon/internal/ledger"
	"pregon/providers"
)

func TestSlug(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Citas noviembre":             "citas-noviembre",
		"¡Promoción — Ñandú!":         "promocion-nandu",
		"  a  b  ":                    "a-b",
		"{x}:y/z\\..":                 "x-y-z",
		"---":                         "campaign",
		"":                            "campaign",
		"日本語":                         "campaign",
		"\x00\xff":                    "campaign",
		strings.Repeat("abcdefg ", 9): "abcdefg-abcdefg-abcdefg-abcdefg",
		"2026 Q4":                     "2026-q4",
		"Straße İ":                    "stra-e-i",
	} {
		if got := slug(name); got != want {
			t.Errorf("slug(%q) = %q, want %q", name, got, want)
		}
	}
}

// TestASlugFitsAnywhere: ids become Redis keys with a hash tag, queue names and file names.
func TestASlugFitsAnywhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		got := slug(rapid.String().Draw(t, "name"))
		if got == "" || len(got) > 32 || strings.Trim(got, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" ||
			strings.HasPrefix(got, "-") || strings.HasSuffix(got, "-") || strings.Contains(got, "--") {
			t.Fatalf("slug %q", got)
		}
	})
}

// desk is an operator with a file to launch.
type desk struct {
	*stage
	operator *Operator
	launch   Launch
	file     *campaign.File
	report   campaign.Report
}

func newDesk(t *testing.T, rdb redis.UniversalClient, people []contact) *desk {
	t.Helper()
	s := newFakeStage(t, rdb, new(fake))
	d := &desk{stage: s, operator: s.operator(), launch: Launch{
		Name: "Promo", File: "promo.csv", Account: "cv", Template: template("991"), Purpose: campaign.Marketing, By: "ana",
	}}
	d.file, d.report, d.launch.FileHash = checked(t, s.account, sheet(people), template("991"))
	return d
}

func (d *desk) start(change ...func(*Launch)) (Launched, error) {
	launch := d.launch
	for _, c := range change {
		c(&launch)
	}
	return d.operator.Launch(d.t.Context(), launch, d.file, d.report)
}

func oncemore(l *Launch) { l.Again = true }

func TestTheSameCommandFindsTheSameCampaign(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		d := newDesk(t, rdb, contacts(3))
		first, err := d.start()
		if err != nil || first.Existing || first.State != ledger.Running || len(first.Same) != 0 {
			t.Fatalf("first: %+v %v", first, err)
		}
		if !strings.HasPrefix(first.Campaign, "promo-") || len(first.Campaign) != len("promo-")+8 {
			t.Errorf("id %q", first.Campaign)
		}
		steps := []struct {
			name     string
			change   func(*Launch)
			existing bool
		}{
			{"Repeated", func(*Launch) {}, true},
			{"ByAnotherPerson", func(l *Launch) { l.By = "luis" }, true},
			{"AtAnotherTimeAndRate", func(l *Launch) { l.At, l.Rate = time.Now().Add(time.Hour), 3 }, true},
			{"OtherName", func(l *Launch) { l.Name = "Otra" }, false},
			{"OtherTemplate", func(l *Launch) { l.Template.ID = "992" }, false},
			{"OtherMapping", func(l *Launch) { l.Mapping = "1=C" }, false},
			{"OtherFile", func(l *Launch) { l.FileHash = "beef" }, false},
			{"OtherAccount", func(l *Launch) { l.Account = "cv2" }, false},
			{"Again", oncemore, false},
			{"AgainAgain", oncemore, false},
		}
		ids := map[string]bool{first.Campaign: true}
		for _, step := range steps {
			got, err := d.start(step.change)
			if err != nil || got.Existing != step.existing || (got.Campaign == first.Campaign) != step.existing {
				t.Fatalf("%s: %+v %v", step.name, got, err)
			}
			if !step.existing && (ids[got.Campaign] || len(got.Same) == 0) {
				t.Errorf("%s: %+v, want a new id and a warning that the rows are the same", step.name, got)
			}
			ids[got.Campaign] = true
		}
		if !ids[first.Campaign+"-2"] || !ids[first.Campaign+"-3"] {
			t.Errorf("ids %v", ids)
		}
		if _, err := d.operator.Status(ctx, first.Campaign); err != nil {
			t.Error(err)
		}
		list, err := d.operator.List(ctx)
		if err != nil || len(list) != len(ids) {
			t.Errorf("%d campaigns listed, want %d (%v)", len(list), len(ids), err)
		}
	})
}

func TestAFileThatChangedIsNotLaunched(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		d := newDesk(t, rdb, contacts(3))
		file, _, _ := checked(t, d.account, sheet(contacts(4)), template("991"))
		d.file = file // what the second reading finds
		if got, err := d.start(); !errors.Is(err, ErrChanged) {
			t.Fatalf("%+v %v", got, err)
		}
		if ids, err := d.ledger.List(ctx); err != nil || len(ids) != 1 || control(t, d.ledger, ids[0]).State != ledger.Draft {
			t.Errorf("%v %v", ids, err)
		}
	})
}

// dying ends a launch after so many commands, as a kill would: even those that were sent already stay done.
type dying struct {
	lossy
	left atomic.Int64
	kill context.CancelFunc
}

func (d *dying) step() error {
	if d.left.Add(-1) < 0 {
		d.kill()
		return context.Canceled
	}
	return nil
}

func (d *dying) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := d.step(); err != nil {
			return err
		}
		return next(ctx, cmd)
	}
}

func (d *dying) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := d.step(); err != nil {
			return err
		}
		return next(ctx, cmds)
	}
}

// TestALaunchKilledAnywhereIsFinishedByTheNext kills a launch of several pages before each of its commands in turn.
func TestALaunchKilledAnywhereIsFinishedByTheNext(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		const rows = 600
		people := contacts(rows)
		for died, again := 0, false; ; died, again = died+1, !again {
			if err := rdb.FlushAll(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			d := newDesk(t, rdb, people)
			d.launch.Again = again
			mortal := redis.NewClient(&redis.Options{Addr: d.addr})
			killed, kill := context.WithCancel(ctx)
			hook := &dying{kill: kill}
			hook.left.Store(int64(died))
			mortal.AddHook(hook)
			first, err := NewOperator(mortal, newLedger(t, mortal), nil).Launch(killed, d.launch, d.file, d.report)
			kill()
			_ = mortal.Close()
			survived := err == nil
			got, err := d.start(func(l *Launch) { l.Again = again && !survived })
			if err != nil {
				t.Fatalf("killed before command %d: %v", died, err)
			}
			if survived && (!got.Existing || got.Campaign != first.Campaign) {
				t.Fatalf("launched %s, then found %+v", first.Campaign, got)
			}
			whole(t, d, got.Campaign, rows)
			if survived {
				if died < 8 {
					t.Fatalf("a launch of three pages took %d commands only", died)
				}
				return
			}
		}
	})
}

// whole fails unless a campaign runs, alone, with every row once.
func whole(t *testing.T, d *desk, id string, rows int) {
	t.Helper()
	s := d.status(id)
	if s.State != ledger.Running || s.Counts[ledger.Queued] != rows || s.Total != rows {
		t.Fatalf("campaign %s is %s with %v", id, s.State, s.Counts)
	}
	seen := 0
	for r, err := range d.operator.Results(ctx, id) {
		if err != nil {
			t.Fatal(err)
		}
		if want := international(fmt.Sprintf("%04d", 2000+seen)); r.Row != 2+seen || r.Phone != want {
			t.Fatalf("row %d is not the one of the file", r.Row)
		}
		seen++
	}
	running := 0
	ids, err := d.ledger.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range ids {
		if control(t, d.ledger, other).State != ledger.Draft {
			running++
		}
	}
	// With --again a launch that was killed after its commit counts as launched, and the next is another.
	if running > 2 || seen != rows {
		t.Fatalf("%d campaigns run, this one with %d rows", running, seen)
	}
}

func TestTheRulesOfALaunchThatWasGivenUpDoNotStay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		d := newDesk(t, rdb, contacts(3))
		// A launch at any hour that dies before its commit, and then the same with contact hours.
		killed, kill := context.WithCancel(ctx)
		mortal := redis.NewClient(&redis.Options{Addr: d.addr})
		t.Cleanup(func() { _ = mortal.Close() })
		hook := &dying{kill: kill}
		hook.left.Store(6)
		mortal.AddHook(hook)
		wrong := d.launch
		wrong.AnyHour = true
		if _, err := NewOperator(mortal, newLedger(t, mortal), nil).Launch(killed, wrong, d.file, d.report); err == nil {
			t.Fatal("the launch survived")
		}
		got, err := d.start()
		if err != nil {
			t.Fatal(err)
		}
		if c, err := d.ledger.Campaign(ctx, got.Campaign); err != nil || c.AnyHour {
			t.Errorf("%+v %v", c, err)
		}
	})
}

func TestSteeringSaysWhatIsNotPossible(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, rdb redis.UniversalClient) {
		d := newDesk(t, rdb, contacts(3))
		o := d.operator
		if err := o.Pause(ctx, "no-such", ""); !errors.Is(err, ledger.ErrNoCampaign) {
			t.Errorf("pause of no campaign: %v", err)
		}
		if err := o.Resume(ctx, "no-such"); !errors.Is(err, ledger.ErrNoCampaign) {
			t.Errorf("resume of no campaign: %v", err)
		}
		if _, err := o.Status(ctx, "no-such"); !errors.Is(err, ledger.ErrNoCampaign) {
			t.Errorf("status of no campaign: %v", err)
		}
		got, err := d.start()
		if err != nil {
			t.Fatal(err)
		}
		id := got.Campaign
		for _, step := range []struct {
			name string
			do   func() error
			ok   bool
		}{
			{"resume while it runs", func() error { return o.Resume(ctx, id) }, true},
			{"pause", func() error { return o.Pause(ctx, id, "a") }, true},
			{"pause again", func() error { return o.Pause(ctx, id, "b") }, true},
			{"resume", func() error { return o.Resume(ctx, id) }, true},
			{"cancel", func() error { return o.Cancel(ctx, id, "c") }, true},
			{"cancel again", func() error { return o.Cancel(ctx, id, "d") }, true},
			{"pause afterwards", func() error { return o.Pause(ctx, id, "e") }, false},
			{"resume afterwards", func() error { return o.Resume(ctx, id) }, false},
		} {
			if err := step.do(); (err == nil) != step.ok || (err != nil && !errors.Is(err, ErrNotNow)) {
				t.Errorf("%s: %v", step.name, err)
			}
		}
	})
}

func TestFinishTimeGoesThroughContactHours(t *testing.T) {
	t.Parallel()
	bogota, err := time.LoadLocation("America/Bogota")
	if err != nil {
		t.Fatal(err)
	}
	at := func(month time.Month, day, hour, minute int) time.Time {
		return time.Date(2026, month, day, hour, minute, 0, 0, bogota)
	}
	hour := 3600 // messages, at one a second
	tests := []struct {
		name     string
		start    time.Time
		messages int
		launch   Launch
		want     time.Time
	}{
		{"WithinADay", at(11, 17, 9, 0), hour, Launch{}, at(11, 17, 10, 0)},
		{"UntilClosingTime", at(11, 17, 18, 0), hour, Launch{}, at(11, 17, 19, 0)},
		{"OverNight", at(11, 17, 18, 30), hour, Launch{}, at(11, 18, 7, 30)},
		{"BeforeOpening", at(11, 17, 3, 0), hour, Launch{}, at(11, 17, 8, 0)},
		{"OverAWeekend", at(11, 20, 18, 0), 10 * hour, Launch{}, at(11, 23, 9, 0)}, // Sat 8–15 takes seven
		{"OverAHoliday", at(12, 24, 18, 0), 2 * hour, Launch{}, at(12, 26, 9, 0)},  // a Saturday after Christmas
		{"AtAnyHour", at(11, 22, 3, 0), hour, Launch{AnyHour: true}, at(11, 22, 4, 0)},
		{"Transactional", at(11, 22, 3, 0), hour, Launch{Purpose: campaign.Transactional}, at(11, 22, 4, 0)},
		{"Nothing", at(11, 17, 9, 0), 0, Launch{}, at(11, 17, 9, 0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.launch.Purpose == "" {
				tt.launch.Purpose = campaign.Marketing
			}
			if got := finishTime(tt.start, tt.messages, 1, tt.launch); !got.Equal(tt.want) {
				t.Errorf("finishes %v, want %v", got.In(bogota), tt.want)
			}
		})
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	cost := 2.5
	f := new(fake)
	a := Account{Name: "cv", Provider: f, Rate: 10, Cost: &cost}
	balance := func(b providers.Balance, err error) { f.balance = func() (providers.Balance, error) { return b, err } }
	launch := Launch{AnyHour: true, At: time.Now().Add(time.Hour), Rate: 4}
	report := campaign.Report{Valid: 40}

	balance(providers.Balance{Amount: 99, Known: true}, nil)
	plan, err := a.Plan(ctx, launch, report)
	if err != nil || *plan.Cost != 100 || *plan.Balance != 99 || plan.Affordable() || plan.Messages != 40 ||
		!plan.FinishesAt.Equal(launch.At.Add(10*time.Second)) {
		t.Errorf("plan %+v %v", plan, err)
	}
	balance(providers.Balance{Raw: "?"}, nil)
	if plan, err = a.Plan(ctx, launch, report); err != nil || plan.Balance != nil || !plan.Affordable() {
		t.Errorf("unreadable balance: %+v %v", plan, err)
	}
	balance(providers.Balance{}, &providers.Error{Class: providers.Unsent, Code: providers.CodeNoConnection})
	if plan, err = a.Plan(ctx, launch, report); err != nil || plan.Balance != nil {
		t.Errorf("unreachable balance: %+v %v", plan, err)
	}
	balance(providers.Balance{}, &providers.Error{Class: providers.Blocked, Code: "2"})
	if _, err = a.Plan(ctx, launch, report); providers.ClassOf(err) != providers.Blocked {
		t.Errorf("refused credentials: %v", err)
	}
	balance(providers.Balance{Known: true}, nil)
	a.Cost = nil
	if plan, err = a.Plan(ctx, Launch{}, campaign.Report{}); err != nil || plan.FinishesAt != nil || plan.Cost != nil {
		t.Errorf("nothing to send: %+v %v", plan, err)
	}
}
