package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// scenario is one way of breaking things, and what must hold all the same.
type scenario struct {
	name    string
	what    string
	run     func(context.Context, *town) error
	inShort bool // -short runs it among "all"
	skewed  bool // it needs a worker whose clock can be wrong, which takes a minute to build
}

// scenarios are all there are, in the order in which they run.
func scenarios() []scenario {
	return []scenario{
		{"storm", "kill -9, SIGTERM, SIGSTOP, Redis kill -9 and bad answers, all at once", runStorm, true, false},
		{"terms", "SIGTERM to one worker after another: nothing may be in doubt", runTerms, true, false},
		{"redis", "Redis kill -9 again and again: nothing may be in doubt", runRedis, true, false},
		{"rollback", "Redis forgets the newest of what it confirmed", runRollback, true, false},
		{"amnesia", "Redis forgets while workers are killed; only their journals know", runAmnesia, true, false},
		{"torn", "as rollback, and what Redis kept ends in the middle of a script's writes", runTorn, false, false},
		{"cut", "a worker loses Redis in mid-send, then all do: nothing may be in doubt", runCut, false, false},
		{"hang", "the provider accepts and never answers", runHang, true, false},
		{"down", "the provider refuses connections: nothing may be in doubt or fail", runDown, true, false},
		{"steer", "pause and cancel hold within 5 s, also for a worker that Redis cannot reach", runSteer, true, false},
		{"launch", "a launch is killed at every step and repeated", runLaunch, true, false},
		{"oom", "Redis has no memory for a while", runOOM, true, false},
		{"disk", "Redis has no disk for a while", runDisk, true, false},
		{"skew", "the workers' clocks are five minutes wrong", runSkew, false, true},
		{"crash", "every named point at which a process may die, with every outcome", runCrash, true, false},
		{"plain", "a plain queue handler in the same storm, to compare", runPlain, false, false},
	}
}

func names() []string {
	var list []string
	for _, s := range scenarios() {
		list = append(list, s.name)
	}
	return list
}

// choose finds the scenarios that were asked for.
func choose(o options) ([]scenario, error) {
	var chosen []scenario
	for _, name := range o.scenarios {
		if name == "all" {
			for _, s := range scenarios() {
				if s.inShort || !o.short {
					chosen = append(chosen, s)
				}
			}
			continue
		}
		i := slices.IndexFunc(scenarios(), func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no scenario %q; there are: all, %s", name, strings.Join(names(), ", "))
		}
		chosen = append(chosen, scenarios()[i])
	}
	return chosen, nil
}

// send starts the fleet, launches a campaign, disturbs it, and waits, undisturbed, until every row is closed.
func (t *town) send(ctx context.Context, disturb func(context.Context, *campaign) error) error {
	if err := t.fleet.startAll(ctx); err != nil {
		return err
	}
	c, err := t.launch(ctx)
	if err != nil {
		return err
	}
	if err := disturb(ctx, c); err != nil {
		return err
	}
	return t.settle(ctx, c)
}

// settle ends every disturbance and waits until the campaign's rows are closed.
func (t *town) settle(ctx context.Context, c *campaign) error {
	if s, ok := c.last(); ok && s.open() == 0 && s.State != "cancelled" {
		t.figures.note("the campaign was over before its disturbances were")
	}
	t.front.spoil(nil)
	for _, w := range t.fleet.workers {
		w.link.set(linkPass, 0)
	}
	if err := t.fleet.ready(ctx); err != nil {
		return err
	}
	return t.drain(ctx, c)
}
