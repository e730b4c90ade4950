package main

import (
	"context"
	"strings"
	"testing"
)

func TestDemoTellsTheWholeStory(t *testing.T) {
	t.Parallel()
	h := &house{t: t, env: []string{"REDIS_URL=redis://127.0.0.1:1/0", "ACCOUNTS_FILE=/nonexistent"}} // it needs neither
	o := h.do("demo").exits(exitUnfinished).shows("samples/citas.xlsx", "samples/promo.csv", "Códigos:", "1002", "repetidos: 0",
		"bin/enqueue check", "Estado de salida 7", "Las 100 filas quedaron cada una en un solo estado, 0 pendientes")
	o.says("Citas: 40 de 40 filas, terminada", "Promo: 60 de 60 filas, terminada")
}

func TestDemoAsDocument(t *testing.T) {
	t.Parallel()
	o := (&house{t: t, env: []string{"PREGON_LANG=en"}}).do("demo", "--json").exits(exitUnfinished)
	doc := shape(t, "the demo", parsed[any](o), []string{"campaigns", "arrived", "duplicates"})
	campaigns := doc["campaigns"].([]any)
	if len(campaigns) != 2 {
		t.Fatalf("%d campaigns", len(campaigns))
	}
	for _, c := range campaigns {
		statusShape(t, c)
	}
	arrived := 0
	for _, s := range parsed[struct {
		Campaigns           []statusDoc `json:"campaigns"`
		Arrived, Duplicates int
	}](o).Campaigns {
		arrived += s.Counts["accepted"]
	}
	if doc["duplicates"] != 0.0 || doc["arrived"].(float64) < float64(arrived) {
		t.Errorf("arrived %v (%d accepted), duplicates %v", doc["arrived"], arrived, doc["duplicates"])
	}
}

func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs := &tripwire{text: "de 40 filas", seen: cancel}
	var out safeBuffer
	code := run(ctx, []string{"demo"}, nil, nil, &out, errs)
	o := outcome{t, code, out.String(), errs.String()}.exits(exitInterrupted).says("Interrumpido")
	if strings.Contains(o.err, "enqueue status") {
		t.Errorf("advice that does not work:\n%s", o.err)
	}
}
