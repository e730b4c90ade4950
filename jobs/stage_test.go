package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"pregon/campaign"
	"pregon/internal/ledger"
	"pregon/internal/redistest"
	"pregon/providers"
	"pregon/providers/contactovirtual"
	"pregon/providers/simulator"
)

var ctx = context.Background()

// What must never be seen outside encrypted pages and the provider's own connection. Every stage looks for it when its
// test ends.
const (
	canaryName  = "Zenobia"
	canaryLogin = "canary.login@example.com"
	canaryToken = "canary-token-5f1c77"
	phonePrefix = "318777" // national; the last four digits choose the simulator's scenario
)

var canaries = regexp.MustCompile(strings.Join([]string{
	phonePrefix + `\d{4}`, canaryName, regexp.QuoteMeta(canaryLogin), canaryToken,
}, "|"))

// each runs f on miniredis, whose keys expire because it is told that time passes, as in the embedded Redis, and on a
// real Redis.
func each(t *testing.T, f func(t *testing.T, rdb redis.UniversalClient)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		m := miniredis.RunT(t)
		const step = 100 * time.Millisecond
		var clock sync.WaitGroup
		done := make(chan struct{})
		clock.Go(func() {
			tick := time.NewTicker(step)
			defer tick.Stop()
			for {
				select {
				case <-done:
					return
				case <-tick.C:
					m.FastForward(step)
				}
			}
		})
		t.Cleanup(func() {
			close(done)
			clock.Wait()
		})
		f(t, redistest.Client(t, m.Addr()))
	})
	t.Run("redis", func(t *testing.T) { f(t, redistest.Client(t, redistest.Start(t))) })
}

// patience bounds every wait for an event. Nothing is ever expected to take that long.
const patience = 50 * time.Second

// await waits until something has happened, looking every few milliseconds.
func await(t testing.TB, what string, happened func() bool) {
	t.Helper()
	if !happens(t, happened) {
		t.Fatalf("did not happen: %s", what)
	}
}

func happens(t testing.TB, happened func() bool) bool {
	limit, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !happened() {
		select {
		case <-limit.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// tap is a log that a test can read.
type tap struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *tap) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *tap) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *tap) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// stage is everything around a worker: a Redis, a ledger in it, and an account at a simulated provider over HTTP.
type stage struct {
	t        *testing.T
	addr     string
	rdb      redis.UniversalClient
	ledger   *ledger.Ledger
	provider *simulator.Server
	front    atomic.Pointer[http.Handler] // what answers the account's calls; the provider unless a test changes it
	account  Account
	log      *tap
	queue    *asynq.Inspector
}

func newLedger(t testing.TB, rdb redis.UniversalClient) *ledger.Ledger {
	t.Helper()
	l, err := ledger.New(rdb, bytes.Repeat([]byte{7}, ledger.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newStage(t *testing.T, rdb redis.UniversalClient, o simulator.Options) *stage {
	t.Helper()
	o.Login, o.Token = canaryLogin, canaryToken
	s := &stage{
		t: t, addr: rdb.(*redis.Client).Options().Addr, rdb: rdb, ledger: newLedger(t, rdb),
		provider: simulator.New(o), log: new(tap), queue: asynq.NewInspectorFromRedisClient(rdb),
	}
	s.answer(s.provider)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*s.front.Load()).ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	t.Cleanup(s.provider.Close)
	client := providers.NewHTTPClient()
	t.Cleanup(client.CloseIdleConnections)
	cv, err := contactovirtual.New(contactovirtual.Config{
		URL: web.URL, Login: providers.NewSecret(canaryLogin), Token: providers.NewSecret(canaryToken),
		HTTPClient: client, Timeout: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.account = Account{Name: "cv", Provider: cv, Rate: 200, Burst: 1}
	t.Cleanup(s.private) // before anything is taken down
	return s
}

func (s *stage) answer(h http.Handler) { s.front.Store(&h) }

func (s *stage) operator() *Operator { return NewOperator(s.rdb, s.ledger, []Account{s.account}) }

// private fails when a canary is in the log or anywhere in Redis.
func (s *stage) private() {
	s.t.Helper()
	for _, leak := range s.leaks() {
		s.t.Error(leak)
	}
}

func (s *stage) leaks() (leaks []string) {
	if found := canaries.FindString(s.log.String()); found != "" {
		leaks = append(leaks, fmt.Sprintf("the log shows %q", found))
	}
	for key, text := range everything(s.t, s.rdb) {
		if found := canaries.FindString(key + "\n" + text); found != "" {
			leaks = append(leaks, fmt.Sprintf("Redis shows %q in %s", found, key))
		}
	}
	return leaks
}

// everything is all of a Redis as text, by key.
func everything(t testing.TB, rdb redis.UniversalClient) map[string]string {
	t.Helper()
	keys, err := rdb.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string, len(keys))
	for _, key := range keys {
		all[key] = contents(t, rdb, key)
	}
	return all
}

func contents(t testing.TB, rdb redis.UniversalClient, key string) string {
	t.Helper()
	var v any
	var err error
	switch kind := rdb.Type(ctx, key).Val(); kind {
	case "string":
		v, err = rdb.Get(ctx, key).Result()
	case "hash":
		v, err = rdb.HGetAll(ctx, key).Result()
	case "list":
		v, err = rdb.LRange(ctx, key, 0, -1).Result()
	case "set":
		v, err = rdb.SMembers(ctx, key).Result()
	case "zset":
		v, err = rdb.ZRangeWithScores(ctx, key, 0, -1).Result()
	case "none": // expired since it was listed
	default:
		t.Fatalf("key %s is a %s, which this test cannot read", key, kind)
	}
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	return fmt.Sprint(v)
}

// contact is one line of a file for template 991.
type contact struct{ phone, name, discount string }

// contacts are n people to whom nothing special happens.
func contacts(n int) []contact {
	list := make([]contact, n)
	for i := range list {
		list[i] = special(fmt.Sprintf("%04d", 2000+i))
	}
	return list
}

// special is a person whose number ends in these four digits: see simulator.Scenarios.
func special(ending string) contact { return contact{phonePrefix + ending, canaryName, ending + " %"} }

func international(ending string) string { return "57" + phonePrefix + ending }

func sheet(people []contact) string {
	var b strings.Builder
	b.WriteString("celular;nombre;descuento\n")
	for _, p := range people {
		fmt.Fprintf(&b, "%s;%s;%s\n", p.phone, p.name, p.discount)
	}
	return b.String()
}

// template is what the simulator calls 991.
func template(id string) campaign.Template {
	return campaign.Template{ID: id, Name: "Promoción", Text: simulator.DefaultTemplates()[1].Text}
}

// checked opens and checks a file as the command line does.
func checked(
	t testing.TB, a Account, text string, template campaign.Template,
) (file *campaign.File, report campaign.Report, hash string) {
	t.Helper()
	rules, noVars := a.Rules()
	file, err := campaign.Open(campaign.Input{Name: "promo.csv", R: strings.NewReader(text), Size: int64(len(text))},
		campaign.Spec{Template: template, Rules: rules, NoVars: noVars})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	if report, err = campaign.Check(file, nil); err != nil {
		t.Fatal(err)
	}
	if hash, err = HashFile(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return file, report, hash
}

// launch checks a file of these people and launches it, at any hour unless changed.
func (s *stage) launch(people []contact, change ...func(*Launch)) string {
	s.t.Helper()
	launch := Launch{
		Name: "Promo de noviembre", File: "promo.csv", Account: s.account.Name, Template: template("991"),
		Purpose: campaign.Marketing, AnyHour: true, By: "ana",
	}
	for _, c := range change {
		c(&launch)
	}
	f, report, hash := checked(s.t, s.account, sheet(people), template(launch.Template.ID))
	launch.FileHash = hash
	got, err := s.operator().Launch(s.t.Context(), launch, f, report)
	if err != nil {
		s.t.Fatal(err)
	}
	if got.Existing {
		s.t.Fatalf("campaign %s existed before", got.Campaign)
	}
	return got.Campaign
}

// work runs a worker with its own Redis client, until the test ends or the returned function is called: it stops the
// worker and waits until it has drained.
func (s *stage) work(change ...func(*Worker)) (stop func()) {
	s.t.Helper()
	return s.workOn(s.addr, change...)
}

func (s *stage) workOn(addr string, change ...func(*Worker)) (stop func()) {
	s.t.Helper()
	rdb := redistest.Client(s.t, addr)
	w, err := NewWorker(WorkerConfig{
		Redis: rdb, Ledger: newLedger(s.t, rdb), Accounts: []Account{s.account}, Concurrency: 16,
		ShutdownTimeout: 20 * time.Second, Log: s.log.logger(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range change {
		c(w)
	}
	running, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(running) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("worker: %v", err)
		}
	})
	s.t.Cleanup(stop)
	return stop
}

// nudge makes the keepers of a campaign look now, as a change of its state does.
func (s *stage) nudge(id string) {
	s.t.Helper()
	if err := s.rdb.Publish(ctx, "pregon:nudge", id).Err(); err != nil {
		s.t.Fatal(err)
	}
}

// status reads a campaign, whose counts must add up whenever they are looked at.
func (s *stage) status(id string) Status {
	s.t.Helper()
	status, err := s.operator().Status(ctx, id)
	if err != nil {
		s.t.Fatal(err)
	}
	if status.Counts.Total() != status.Total {
		s.t.Errorf("counts %v add up to %d, the file has %d rows", status.Counts, status.Counts.Total(), status.Total)
	}
	return status
}

// becomes waits for a state (and a reason, unless ""), nudging the keepers like an impatient person.
func (s *stage) becomes(id string, state ledger.State, reason string) Status {
	s.t.Helper()
	var last Status
	looks := 0
	reached := happens(s.t, func() bool {
		if looks++; looks%20 == 0 {
			s.nudge(id)
		}
		last = s.status(id)
		return last.State == state && (reason == "" || last.Reason == reason)
	})
	if !reached {
		info, err := s.queue.GetQueueInfo(id)
		s.t.Fatalf("campaign is not %s(%s) but %s(%s) with %v; queue %+v %v", state, reason, last.State, last.Reason,
			last.Counts, info, err)
	}
	return last
}

// arrived waits for so many messages at the provider.
func (s *stage) arrived(n int) {
	s.t.Helper()
	limit, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.provider.Wait(limit, n); err != nil {
		total, _ := s.provider.Total()
		s.t.Fatalf("%d messages arrived, want %d: %v", total, n, err)
	}
}

// idle waits until no server serves any campaign: then nothing can be sent any more.
func (s *stage) idle() {
	s.t.Helper()
	await(s.t, "no server runs", func() bool {
		servers, err := s.queue.Servers()
		return err == nil && len(servers) == 0
	})
}

func (s *stage) wantCounts(id string, want ledger.Counts) {
	s.t.Helper()
	got := s.status(id).Counts
	for _, state := range ledger.RowStates {
		if got[state] != want[state] {
			s.t.Errorf("%d rows are %s, want %d (%v)", got[state], state, want[state], got)
		}
	}
}

// wantOnce fails unless exactly these messages arrived, each once.
func (s *stage) wantOnce(people []contact) {
	s.t.Helper()
	got := s.provider.Receipts()
	if got.Total != len(people) || got.Duplicates != 0 {
		s.t.Errorf("%d messages arrived, %d of them twice, want %d", got.Total, got.Duplicates, len(people))
	}
	for _, p := range people {
		if got.Phones["57"+p.phone] != 1 {
			s.t.Errorf("the phone ending in %s got %d messages, want 1", p.phone[6:], got.Phones["57"+p.phone])
		}
	}
}

// hints are the hints of a campaign that will be looked at again, and those that are kept aside.
func (s *stage) hints(id string) (coming, aside int) {
	s.t.Helper()
	if queues, err := s.queue.Queues(); err != nil || !slices.Contains(queues, id) {
		return 0, 0
	}
	info, err := s.queue.GetQueueInfo(id)
	if err != nil {
		s.t.Fatal(err)
	}
	return info.Pending + info.Active + info.Scheduled + info.Retry, info.Archived
}

// results are the rows of a campaign by number.
func (s *stage) results(id string) map[int]Result {
	s.t.Helper()
	rows := make(map[int]Result)
	for r, err := range s.operator().Results(ctx, id) {
		if err != nil {
			s.t.Fatal(err)
		}
		rows[r.Row] = r
	}
	return rows
}
