package main

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pregon/providers/simulator"
)

func TestTheSameSeedDrawsTheSameFaults(t *testing.T) {
	sequence := func(seed uint64) (list []fault) {
		for n := range uint64(20_000) {
			list = append(list, draw(seed, n, stormFaults()))
		}
		return list
	}
	if !slices.Equal(sequence(7), sequence(7)) {
		t.Error("the same seed drew other faults")
	}
	if slices.Equal(sequence(7), sequence(8)) {
		t.Error("another seed drew the same faults")
	}
	seen := make(map[fault]int)
	for _, f := range sequence(7) {
		seen[f]++
	}
	for _, s := range stormFaults() {
		if n, want := float64(seen[s.fault]), s.part*20_000; n < want/3 || n > want*3 {
			t.Errorf("%s was drawn %v times of 20,000, want about %v", s.fault, n, want)
		}
	}
}

func TestTheSameSeedForecastsTheSameStorm(t *testing.T) {
	storm := func(seed uint64) []blow {
		return forecast(seeded(seed), time.Minute, 500, 3)
	}
	if !slices.Equal(storm(3), storm(3)) || slices.Equal(storm(3), storm(4)) {
		t.Error("a storm does not follow from its seed")
	}
	seen := make(map[string]bool)
	last := time.Duration(0)
	for _, b := range storm(3) {
		seen[b.kind] = true
		if b.at < last || b.at > time.Minute || b.worker > 2 || b.kind == "" {
			t.Errorf("%+v", b)
		}
		last = b.at
	}
	if len(seen) != len(blows) {
		t.Errorf("500 blows were only %v", seen)
	}
}

// stand is a front with one fault for every send.
func stand(t *testing.T, kind fault) *front {
	t.Helper()
	d, err := newDiary(filepath.Join(t.TempDir(), "events.jsonl"), nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := newFront(simulator.New(simulator.Options{}), 1, d)
	if err != nil {
		t.Fatal(err)
	}
	f.spoil([]share{{kind, 1}})
	t.Cleanup(func() {
		f.close()
		_ = d.close()
	})
	return f
}

// post sends one good message.
func post(t *testing.T, f *front) (status int, body string, err error) {
	t.Helper()
	form := url.Values{
		"login": {simulator.DefaultLogin}, "token": {simulator.DefaultToken}, "mobile": {"573105552001"},
		"id_template": {"992"},
	}
	c := &http.Client{Timeout: 200 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := c.PostForm(f.url()+simulator.SendPath, form)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

func TestFrontCarriesOutEachFault(t *testing.T) {
	for kind, want := range map[fault]struct {
		receipts, status int    // status 0: no answer
		body             string // somewhere in it
	}{
		none: {1, 200, `"code":1`}, resetUnread: {0, 0, ""}, resetAfter: {1, 0, ""}, closeAfter: {1, 0, ""},
		hangBefore: {0, 0, ""}, hangAfter: {1, 0, ""}, errorBefore: {0, 500, ""}, errorAfter: {1, 500, ""},
		badGateway: {1, 502, "<h1>"}, unavailable: {0, 503, "<h1>"}, tooMany: {0, 429, ""},
		brokenJSON: {1, 200, `"status":"mensaje envi`}, pageInstead: {1, 200, "<html>"}, hugeAnswer: {1, 200, "xxxx"},
		refused: {0, 200, `"code":4`},
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			f := stand(t, kind)
			status, body, err := post(t, f)
			if status != want.status || (err == nil) != (want.status != 0) || !strings.Contains(body, want.body) {
				t.Errorf("status %d, %.80q, %v", status, body, err)
			}
			if total, _ := f.sim.Total(); total != want.receipts {
				t.Errorf("%d messages arrived, want %d", total, want.receipts)
			}
			tally := f.tally()
			ambiguous := 0
			if kind.ambiguous() {
				ambiguous = 1
			}
			if tally.Sends != 1 || tally.Ambiguous != ambiguous || (kind != none && tally.Faults[kind.String()] != 1) {
				t.Errorf("%+v", tally)
			}
		})
	}
}

func TestFrozenFrontAnswersNothingUntilItThaws(t *testing.T) {
	f := stand(t, none)
	f.freeze(true)
	if status, _, err := post(t, f); err == nil {
		t.Errorf("status %d", status)
	}
	response, err := (&http.Client{Timeout: 100 * time.Millisecond}).PostForm(f.url()+simulator.BalancePath, nil)
	if err == nil {
		_ = response.Body.Close()
		t.Error("a balance was answered")
	}
	f.freeze(false)
	if status, _, err := post(t, f); status != 200 {
		t.Errorf("after it thawed: %d, %v", status, err)
	}
	if tally := f.tally(); tally.Ambiguous != 1 || tally.Sends != 2 {
		t.Errorf("%+v", tally)
	}
}

func TestRefusingFrontComesBackOnTheSamePort(t *testing.T) {
	f := stand(t, none)
	before := f.url()
	if err := f.refuse(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := post(t, f); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("%v, want a refused connection", err)
	}
	if err := f.open(); err != nil {
		t.Fatal(err)
	}
	if status, _, err := post(t, f); status != 200 || f.url() != before {
		t.Errorf("%d, %v at %s, before at %s", status, err, f.url(), before)
	}
}
