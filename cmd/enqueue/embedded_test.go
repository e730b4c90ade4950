package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"pregon/providers/simulator"
)

func TestEmbedded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{})
	path := h.file("veinte.csv", people(20))
	doc := checkShape(h.with("REDIS_URL=embedded").do(launching(path, "Sola", "--json")...).exits(exitOK), runNames)
	if doc.Status.Counts["accepted"] != 20 || doc.Status.State != "finished" {
		t.Errorf("%+v", doc.Status)
	}
	h.sent(20)
	h.provider.Reset()
	o := h.do(launching(path, "Sola", "--embedded")...).exits(exitOK).shows("Campaña lanzada: sola-", "Su Redis está en este proceso", "Aceptado  20")
	if strings.Contains(o.out, "enqueue status") {
		t.Errorf("advice that does not work:\n%s", o.out)
	}
	if len(h.redis.Keys()) > 0 {
		t.Errorf("--embedded wrote to the configured Redis: %q", h.redis.Keys())
	}
	for _, url := range []string{"https://contacto-virtual.com", "http://127.0.0.1.example.com", "http://10.0.0.1:9090"} {
		away := h.with("CONTACTOVIRTUAL_URL=" + url)
		away.do(launching(path, "Sola", "--embedded")...).exits(exitUsage).silent().says("--embedded no guarda nada", "--insecure-redis")
	}
	h.with("CONTACTOVIRTUAL_URL=http://127.0.0.1:1").do(launching(path, "Sola", "--embedded", "--dry-run")...).exits(exitOK)
}

func TestEmbeddedInterrupted(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{Latency: 20 * time.Millisecond}).with("CONTACTOVIRTUAL_RATE=20", "CONTACTOVIRTUAL_BURST=1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_ = h.provider.Wait(ctx, 5)
		cancel()
	}()
	o := h.doWith(ctx, strings.NewReader(""), launching(h.file("mil.csv", people(1000)), "Cortada", "--embedded", "--json")...)
	doc := checkShape(o.exits(exitInterrupted).says("La campaña se detuvo aquí"), runNames)
	arrived, _ := h.provider.Total()
	if s := doc.Status; s.Counts["accepted"] != arrived || s.Counts["sending"]+s.Counts["in_doubt"] != 0 || arrived < 5 || arrived > 900 {
		t.Errorf("%d arrived; the status says %v", arrived, s.Counts)
	}
	if strings.Contains(o.err, "enqueue status") {
		t.Errorf("advice that does not work:\n%s", o.err)
	}
}

func TestEmbeddedHasNothingToSee(t *testing.T) {
	t.Parallel()
	h := newHouse(t, simulator.Options{}).with("REDIS_URL=embedded")
	for _, args := range [][]string{{"list"}, {"status", "x"}, {"pause", "x"}, {"results", "x", "--json"}, {"doubt", "x"}, {"retry", "x"}} {
		h.do(args...).exits(exitUsage).silent().says("REDIS_URL=embedded")
	}
	h.do("balance").exits(exitOK)
}
