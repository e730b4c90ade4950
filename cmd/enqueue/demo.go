package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"path"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"pregon/campaign"
	"pregon/internal/config"
	"pregon/internal/ledger"
	"pregon/internal/setup"
	"pregon/jobs"
	"pregon/providers/simulator"
	"pregon/samples"
)

// demoCampaigns are the stories of the demo: a file, a template and a name.
var demoCampaigns = []struct{ file, template, name string }{
	{"citas.xlsx", "990", "Citas"},
	{"promo.csv", "991", "Promo"},
}

// demoRate is the demo account's messages per second: quick enough for an impatient person, slow enough to be watched.
const demoRate = 12

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "demo",
		Short: a.t("La historia completa en un proceso: archivos, simulador, worker y resultados",
			"The whole story in one process: files, simulator, worker and results"),
		Long: a.t("Lanza los dos archivos de samples/ contra un proveedor simulado, con Redis y worker en este mismo "+
			"proceso. No necesita nada más y no envía mensajes reales. Algunas filas fallan a propósito: el estado de salida "+
			"es 7.",
			"Launches both files of samples/ against a simulated provider, with Redis and worker in this very process. It "+
				"needs nothing else and sends no real message. Some rows fail on purpose: the exit status is 7."),
		Args: a.arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return a.demo(c.Context()) },
	}
}

// demoStage is what the demo plays on.
type demoStage struct {
	provider *simulator.Server
	system   *setup.System
	account  jobs.Account
	close    func()
}

func (a *app) demo(ctx context.Context) error {
	stage, err := a.stage(ctx)
	if err != nil {
		return err
	}
	defer stage.close()
	a.say("Pregón en un solo proceso: Redis embebido, un worker y un proveedor simulado. No sale ningún mensaje real.\n",
		"Pregón in one process: embedded Redis, one worker and a simulated provider. No real message leaves.\n")
	var finals []jobs.Status
	err = a.attended(ctx, stage.system, func() (err error) {
		finals, err = a.play(ctx, stage)
		return err
	})
	if err != nil {
		return err
	}
	return a.curtain(finals, stage.provider)
}

// stage starts the simulated provider over HTTP and the rest around it.
func (a *app) stage(ctx context.Context) (*demoStage, error) {
	provider := simulator.New(simulator.Options{Latency: 60 * time.Millisecond, Jitter: 60 * time.Millisecond})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the simulated provider: %w", err)
	}
	server := &http.Server{Handler: provider, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // it ends with Close
	stop := func() {
		provider.Close()
		_ = server.Close() // it is ours alone
	}
	templates := make(map[string]config.Template)
	for _, t := range simulator.DefaultTemplates() {
		templates[t.ID] = config.Template{Name: t.Name, Text: t.Text}
	}
	cfg, err := config.Load([]string{
		"REDIS_URL=" + config.Embedded, "PREGON_LANG=" + a.lang, fmt.Sprintf("CONTACTOVIRTUAL_RATE=%d", demoRate),
		"CONTACTOVIRTUAL_COST=1", "CONTACTOVIRTUAL_URL=http://" + listener.Addr().String(),
		"CONTACTOVIRTUAL_LOGIN=" + simulator.DefaultLogin, "CONTACTOVIRTUAL_TOKEN=" + simulator.DefaultToken,
	})
	if err != nil {
		stop()
		return nil, err
	}
	cfg.Accounts[0].Templates = templates
	a.cfg = cfg
	system, err := a.open(ctx, true)
	if err != nil {
		stop()
		return nil, err
	}
	stage := &demoStage{provider: provider, system: system, account: system.Accounts[0]}
	stage.close = func() {
		system.Close()
		stop()
	}
	return stage, nil
}

// play checks, launches and follows each campaign.
func (a *app) play(ctx context.Context, stage *demoStage) ([]jobs.Status, error) {
	operator := stage.system.Operator()
	var finals []jobs.Status
	for _, story := range demoCampaigns {
		a.say("— samples/%s —", "— samples/%s —", story.file)
		id, err := a.demoLaunch(ctx, stage, operator, story.file, story.template, story.name)
		if err != nil {
			return nil, err
		}
		final, err := a.follow(ctx, operator, id)
		if err != nil {
			return nil, err
		}
		finals = append(finals, final)
		if !a.json {
			a.table(a.out, final)
			a.say("", "")
		}
	}
	return finals, nil
}

func (a *app) demoLaunch(
	ctx context.Context, stage *demoStage, operator *jobs.Operator, name, template, title string,
) (string, error) {
	content, err := samples.Files.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("read sample: %w", err)
	}
	hash, err := jobs.HashFile(bytes.NewReader(content))
	if err != nil {
		return "", err
	}
	launch := jobs.Launch{
		Name: title, File: path.Join("samples", name), Account: stage.account.Name, Purpose: campaign.Marketing,
		Template: stage.account.Known(ctx, campaign.Template{ID: template}), AnyHour: true, FileHash: hash, By: "demo",
	}
	spec, err := a.spec(mapping{Country: "CO", Duplicates: "drop"}, stage.account, launch.Template)
	if err != nil {
		return "", err
	}
	parsed, err := campaign.Open(campaign.Input{Name: name, R: bytes.NewReader(content), Size: int64(len(content))}, spec)
	if err != nil {
		return "", err
	}
	defer func() { _ = parsed.Close() }() // it was only read
	report, err := campaign.Check(parsed, func(*campaign.Recipient) error { return ctx.Err() })
	if err != nil {
		return "", err
	}
	plan, err := stage.account.Plan(ctx, launch, report)
	if err != nil {
		return "", err
	}
	if !a.json {
		a.describe(a.out, &checked{file: &file{name: launch.File}, report: report}, plan)
	}
	launched, err := operator.Launch(ctx, launch, parsed, report)
	return launched.Campaign, err
}

// demoDocument is what the demo prints as JSON.
type demoDocument struct {
	Campaigns  []jobs.Status `json:"campaigns"`
	Arrived    int           `json:"arrived"`    // messages that the simulated provider really got
	Duplicates int           `json:"duplicates"` // messages that somebody had got before
}

// repeated counts the messages that were not the first of their campaign for their phone. Both campaigns of the demo
// may write to one person, each with a template of its own.
func repeated(messages []simulator.Message) int {
	seen := make(map[[2]string]bool)
	n := 0
	for _, m := range messages {
		once := [2]string{m.Template, m.Mobile}
		if seen[once] {
			n++
		}
		seen[once] = true
	}
	return n
}

// curtain sums up, says how to go on, and tells the truth in the exit status.
func (a *app) curtain(finals []jobs.Status, provider *simulator.Server) error {
	messages := provider.Messages()
	arrived, duplicates := len(messages), repeated(messages)
	code := exitOK
	for _, s := range finals {
		if c := exitOf(s); c == exitUnfinished || code == exitOK {
			code = c
		}
	}
	if a.json {
		if err := a.printJSON(demoDocument{finals, arrived, duplicates}); err != nil {
			return err
		}
		return status(code)
	}
	total, open := 0, 0
	for _, s := range finals {
		total += s.Total
		open += s.Counts.Open()
	}
	a.say("Las %d filas quedaron cada una en un solo estado, %d pendientes. El proveedor simulado recibió %d mensajes; "+
		"repetidos: %d.", "All %d rows are in one state each, %d open. The simulated provider got %d messages; sent "+
		"twice: %d.", total, open, arrived, duplicates)
	if slices.ContainsFunc(finals, func(s jobs.Status) bool { return s.Counts[ledger.InDoubt] > 0 }) {
		a.say("«En duda» es lo que pudo salir sin respuesta: ninguna máquina lo reenvía, lo decide una persona con enqueue "+
			"doubt.", "\"In doubt\" may have left without an answer: no machine sends it again, a person decides with enqueue "+
			"doubt.")
	}
	a.say(`
Para seguir:
  make build                                                 los programas, en bin/
  bin/enqueue check samples/promo.csv                        qué se enviaría, fila por fila
  redis-server --appendonly yes &   bin/simulator --addr 127.0.0.1:9090 &
  export CONTACTOVIRTUAL_URL=http://127.0.0.1:9090 CONTACTOVIRTUAL_LOGIN=%s CONTACTOVIRTUAL_TOKEN=%s
  bin/worker &   bin/enqueue run samples/promo.csv --name Promo --template 991 --any-hour --wait
  bin/enqueue results CAMPAÑA -o resultados.xlsx             qué pasó con cada fila
  bin/enqueue doubt CAMPAÑA                                  qué se sabe de las que están en duda, y decidir`, `
To go on:
  make build                                                 the programs, in bin/
  bin/enqueue check samples/promo.csv                        what would be sent, row by row
  redis-server --appendonly yes &   bin/simulator --addr 127.0.0.1:9090 &
  export CONTACTOVIRTUAL_URL=http://127.0.0.1:9090 CONTACTOVIRTUAL_LOGIN=%s CONTACTOVIRTUAL_TOKEN=%s
  bin/worker &   bin/enqueue run samples/promo.csv --name Promo --template 991 --any-hour --wait
  bin/enqueue results CAMPAIGN -o results.xlsx               what became of each row
  bin/enqueue doubt CAMPAIGN                                 what is known about those in doubt, and decide`,
		simulator.DefaultLogin, simulator.DefaultToken)
	if code != exitOK {
		a.say("\nEstado de salida %d: algunas filas fallaron o quedaron en duda, y en este ejemplo es a propósito (make lo "+
			"llama error).",
			"\nExit status %d: some rows failed or are in doubt, and in this example that is meant (make calls it an "+
				"error).", code)
	}
	return status(code)
}
