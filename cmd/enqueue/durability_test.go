package main

import (
	"strings"
	"testing"

	"pregon/internal/redistest"
	"pregon/providers/simulator"
)

// TestRunWarnsOfARedisThatForgets: it launches all the same, since the workers are those who refuse.
func TestRunWarnsOfARedisThatForgets(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	path := h.file("dos.csv", people(2))
	for name, c := range map[string]struct {
		redis       []string // arguments of redis-server
		flags, env  []string
		says, hides []string
	}{
		"Keeps": {hides: []string{"Aviso", "CONFIG"}},
		"Forgets": {redis: []string{"--appendonly", "no"},
			says: []string{"Aviso: los workers no envían", "appendonly is no", " CONFIG SET appendonly yes\n"}},
		"ForgetsInEnglish": {redis: []string{"--maxmemory-policy", "allkeys-lru"}, env: []string{"PREGON_LANG=en"},
			says: []string{"Warning: workers do not send", " CONFIG SET maxmemory-policy noeviction\n"}, hides: []string{"Aviso"}},
		"AsJSON": {redis: []string{"--appendfsync", "no"}, flags: []string{"--json"}, says: []string{"Aviso", " CONFIG SET appendfsync always\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := *h
			h.t = t
			town := h.with(append(c.env, "REDIS_URL=redis://"+redistest.Start(t, c.redis...))...)
			o := town.do(launching(path, "Olvido", c.flags...)...).exits(exitOK).says(c.says...)
			for _, w := range c.hides {
				if strings.Contains(o.err, w) {
					t.Errorf("stderr says %q:\n%s", w, o.err)
				}
			}
			if strings.Contains(o.out, "CONFIG SET") {
				t.Errorf("stdout is for the campaign:\n%s", o.out)
			}
			town.do("list").exits(exitOK).shows("olvido-")
		})
	}
	o := h.do(launching(path, "Sola", "--embedded")...).exits(exitOK)
	if strings.Contains(o.err, "Aviso") {
		t.Errorf("the Redis in the process says itself that it keeps nothing:\n%s", o.err)
	}
	h.sent(2)
}
