package main

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pregon/internal/config"
	"pregon/internal/ledger"
	"pregon/internal/setup"
	"pregon/jobs"
)

// runChoices are the flags of run alone.
type runChoices struct {
	choices
	name         string
	untilBalance bool
	again        bool
	dryRun       bool
	wait         bool
	yes          bool
	embedded     bool
	insecure     bool
}

func (a *app) runCommand() *cobra.Command {
	var o runChoices
	c := &cobra.Command{
		Use: "run FILE --name NAME",
		Short: a.t("Lanza un archivo como campaña; repetido, encuentra la misma campaña",
			"Launch a file as a campaign; repeated, it finds the same campaign"),
		Example: `  enqueue run citas.xlsx --name "Citas noviembre" --template 990
  enqueue run promo.csv --name Promo --template 991 --dry-run
  enqueue run promo.csv --name Promo --template 991 --at 2026-11-23T08:00 --wait`,
		Args: a.arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error { return a.run(c.Context(), args[0], o) },
	}
	a.choiceFlags(c, &o.choices)
	f := c.Flags()
	f.StringVar(&o.name, "name", "", a.t("nombre de la campaña", "name of the campaign"))
	f.BoolVar(&o.untilBalance, "until-balance-ends", false, a.t("lanzar aunque el saldo no alcance",
		"launch although the balance does not cover it"))
	f.BoolVar(&o.again, "again", false, a.t("otra campaña con el mismo archivo", "another campaign of the same file"))
	f.BoolVar(&o.dryRun, "dry-run", false, a.t("solo mostrar lo que se haría", "only show what would be done"))
	f.BoolVar(&o.wait, "wait", false, a.t("esperar a que termine", "wait for its end"))
	f.BoolVar(&o.yes, "yes", false, a.t("no preguntar", "do not ask"))
	f.BoolVar(&o.embedded, "embedded", false, a.t("Redis y worker dentro de este proceso; no guarda nada",
		"Redis and worker in this process; keeps nothing"))
	f.BoolVar(&o.insecure, "insecure-redis", false, a.t(
		"con --embedded: aceptar un proveedor real, aunque una segunda corrida no sabría de la primera",
		"with --embedded: accept a real provider, although a second run could not know the first"))
	return c
}

func (a *app) run(ctx context.Context, path string, o runChoices) error {
	if o.name = oneLine(o.name); o.name == "" {
		return usage("%s", a.t("Falta el nombre de la campaña: --name", "The name of the campaign is missing: --name"))
	}
	a.accountName = o.account
	acc, err := a.account(o.account)
	if err != nil {
		return err
	}
	launch, err := a.choose(o.choices, acc)
	if err != nil {
		return err
	}
	if launch.Template.ID == "" {
		return usage("%s", a.t("Falta la plantilla: --template ID", "The template is missing: --template ID"))
	}
	if err := a.embeddable(&o); err != nil {
		return err
	}
	launch.Template = a.known(ctx, acc, launch.Template)
	checked, err := a.read(ctx, path, o.mapping, acc, launch.Template)
	if err != nil {
		return err
	}
	defer checked.close()
	launch.Name, launch.File, launch.Again, launch.By = o.name, checked.file.name, o.again, whoami()
	launch.FileHash = checked.file.hash
	plan, err := a.plan(ctx, acc, launch, checked.report)
	if err != nil {
		return err // the account refuses its credentials: nothing is launched
	}
	if o.dryRun {
		if err := a.report(checked, plan, nil); err != nil {
			return err
		}
		if !plan.Affordable() && !o.untilBalance {
			return status(exitBalance)
		}
		return status(rejected(checked.report))
	}
	return a.launch(ctx, o, launch, checked, plan)
}

// embeddable makes --embedded wait, and refuses it for real accounts: a second run could not know the first.
func (a *app) embeddable(o *runChoices) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	o.embedded = o.embedded || cfg.RedisURL.Reveal() == config.Embedded
	if !o.embedded {
		return nil
	}
	o.wait = true
	if o.insecure {
		return nil
	}
	for _, acc := range cfg.Accounts {
		if !loopback(acc.URL) {
			return usage("%s", a.t("--embedded no guarda nada: una segunda corrida no sabría de la primera y repetiría los "+
				"mensajes. Use un Redis, o --insecure-redis si lo acepta", "--embedded keeps nothing: a second run could not "+
				"know the first and would repeat the messages. Use a Redis, or --insecure-redis if you accept that"))
		}
	}
	return nil
}

func loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return strings.EqualFold(u.Hostname(), "localhost") || (ip != nil && ip.IsLoopback())
}

// launch refuses or asks for consent where that is needed, launches, and waits when asked to. A campaign that was
// launched before is only found again: what it cost is spent, and nobody is asked twice.
func (a *app) launch(ctx context.Context, o runChoices, launch jobs.Launch, c *checked, plan jobs.Plan) error {
	system, unavailable := a.open(ctx, o.embedded)
	existing := false
	if unavailable == nil {
		defer system.Close()
		var err error
		if _, existing, err = system.Operator().Find(ctx, launch, c.report.Hash); err != nil {
			return err
		}
	}
	if !existing {
		if err := a.refuse(o, launch, c, plan); err != nil {
			return err
		}
	}
	if unavailable != nil {
		return unavailable
	}
	if !o.embedded {
		a.warnOfForgetting(ctx, system)
	}
	if !a.json {
		a.describe(a.out, c, plan)
	}
	if !existing {
		if err := a.consent(ctx, o, plan); err != nil {
			return err
		}
	}
	return a.start(ctx, system, o, launch, c, plan)
}

// warnOfForgetting warns of a Redis with which workers refuse to send. The launch goes on: the campaign waits there for
// them. What is wrong, and what mends it, is for an engineer, and said in English.
func (a *app) warnOfForgetting(ctx context.Context, system *setup.System) {
	wrong, refused := errors.AsType[*setup.NotDurable](system.Durable(ctx))
	if !refused { // a Redis that went away is told by the launch
		return
	}
	a.complain("%s", a.t("Aviso: los workers no envían con este Redis hasta que se corrija (o con --insecure-redis)\n"+
		"Detalle: %v", "Warning: workers do not send with this Redis until it is mended (or with --insecure-redis)\n"+
		"Detail: %v", wrong))
}

// refuse says why a campaign cannot be launched, if it cannot.
func (a *app) refuse(o runChoices, launch jobs.Launch, c *checked, plan jobs.Plan) error {
	if !launch.At.IsZero() && time.Since(launch.At) > time.Minute {
		return usage("%s", a.t("La hora de --at ya pasó (%s): quítela para enviar ahora, o corríjala",
			"The time of --at has passed (%s): leave it out to send now, or correct it", a.clock(launch.At)))
	}
	if c.report.Valid > 0 && (plan.Affordable() || o.untilBalance) {
		return nil
	}
	if err := a.report(c, plan, nil); err != nil {
		return err
	}
	if c.report.Valid == 0 {
		return &exitError{exitRejected, errors.New(a.t("Ninguna fila se puede enviar: no se lanzó nada", "No row can be "+
			"sent: nothing was launched"))}
	}
	return &exitError{exitBalance, errors.New(a.t("El saldo no alcanza: recargue, o lance con --until-balance-ends",
		"The balance does not cover it: top up, or launch with --until-balance-ends"))}
}

// start launches, and waits when asked to.
func (a *app) start(
	ctx context.Context, system *setup.System, o runChoices, launch jobs.Launch, c *checked, plan jobs.Plan,
) error {
	launched, err := system.Operator().Launch(ctx, launch, c.parsed, c.report)
	if err != nil {
		return err
	}
	a.announce(launched, o.embedded)
	var final *jobs.Status
	code := rejected(c.report)
	if o.wait {
		var s jobs.Status
		s, err = a.waitFor(ctx, system, launched.Campaign, o.embedded)
		final, code = &s, exitOf(s)
		if !a.json {
			a.table(a.out, s)
			if !o.embedded { // its Redis ends with this process: nothing can be decided any more
				a.hints(a.out, s)
			}
		}
	}
	if a.json { // also when the waiting ended early: the campaign's id must not get lost
		err = errors.Join(err, a.report(c, plan, func(d *document) {
			d.Campaign, d.Existing, d.SameContent, d.Status = launched.Campaign, launched.Existing, launched.Same, final
		}))
	}
	if err != nil {
		return err
	}
	return status(code)
}

// consent asks a person at a terminal. Elsewhere running the command is the consent.
func (a *app) consent(ctx context.Context, o runChoices, plan jobs.Plan) error {
	if o.yes || a.json || !a.asks() {
		return nil
	}
	yes, err := a.ask(ctx, a.t("¿Enviar %s?", "Send %s?", a.messages(plan.Messages)))
	if err == nil && !yes {
		err = &exitError{exitUsage, errors.New(a.t("No se lanzó nada", "Nothing was launched"))}
	}
	return err
}

func (a *app) announce(l jobs.Launched, embedded bool) {
	switch {
	case embedded:
		a.say("Campaña lanzada: %s\nSu Redis está en este proceso: después solo queda lo que diga esta salida",
			"Campaign launched: %s\nIts Redis is in this process: afterwards only what this output says remains", l.Campaign)
	case l.Existing:
		a.say("Esta campaña ya se lanzó: %s (%s). Para otra con el mismo archivo: --again",
			"This campaign was launched before: %s (%s). For another one of the same file: --again", l.Campaign,
			a.t(campaignStates[l.State][0], campaignStates[l.State][1]))
	case l.State == ledger.Scheduled:
		a.say("Campaña programada: %s", "Campaign scheduled: %s", l.Campaign)
	default:
		a.say("Campaña lanzada: %s\nSígala con: enqueue status %[1]s --follow", "Campaign launched: %s\nFollow it with: "+
			"enqueue status %[1]s --follow", l.Campaign)
	}
	for _, same := range l.Same {
		a.complain("%s", a.t("Aviso: la campaña %s tuvo exactamente las mismas filas", "Warning: campaign %s had exactly "+
			"the same rows", same))
	}
}

// waitFor follows a campaign to its end; embedded, with a worker in this process. The status is as far as it came,
// also beside an error.
func (a *app) waitFor(ctx context.Context, system *setup.System, id string, embedded bool) (jobs.Status, error) {
	operator := system.Operator()
	if !embedded {
		return a.accompany(ctx, operator, id)
	}
	var s jobs.Status
	err := a.attended(ctx, system, func() (err error) {
		s, err = a.follow(ctx, operator, id)
		return err
	})
	if ctx.Err() != nil {
		a.complain("%s", a.t("La campaña se detuvo aquí: su Redis estaba en este proceso, y solo queda lo que diga esta "+
			"salida", "The campaign stopped here: its Redis was in this process, and only what this output says remains"))
		if last, lastErr := operator.Status(context.WithoutCancel(ctx), id); lastErr == nil {
			s = last // the worker has finished what was in flight
		}
	}
	return s, err
}

// attended does something while a worker runs in this process.
func (a *app) attended(ctx context.Context, system *setup.System, do func() error) error {
	worker, err := system.Worker()
	if err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(working) }()
	err = do()
	stop()
	return errors.Join(err, <-ended)
}

// whoami is who launches or decides, for the record.
func whoami() string {
	who := ""
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		who += "@" + host
	}
	return who
}
