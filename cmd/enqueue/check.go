package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pregon/campaign"
	"pregon/jobs"
)

// choices are the flags that check and run share beside the mapping.
type choices struct {
	mapping  mapping
	account  string
	template string
	purpose  string
	anyHour  bool
	rate     float64
	at       string
}

func (a *app) choiceFlags(c *cobra.Command, o *choices) {
	a.mappingFlags(c, &o.mapping)
	f := c.Flags()
	f.StringVar(&o.account, "account", "", a.t("cuenta con la que se envía", "account to send through"))
	f.StringVar(&o.template, "template", "", a.t("id de la plantilla (contacto-virtual lo muestra al crearla)",
		"template id (contacto-virtual shows it when the template is made)"))
	f.StringVar(&o.purpose, "purpose", "marketing", "marketing | collections | transactional")
	f.BoolVar(&o.anyHour, "any-hour", false, a.t("enviar también fuera del horario permitido; queda registrado",
		"send outside contact hours too; it is put on record"))
	f.Float64Var(&o.rate, "rate", 0, a.t("mensajes por segundo, por debajo de los de la cuenta",
		"messages per second, below the account's"))
	f.StringVar(&o.at, "at", "", a.t("hora de inicio: 2026-11-23T08:00 (hora de Colombia) o RFC 3339",
		"start: 2026-11-23T08:00 (Colombian time) or RFC 3339"))
}

// The bounds of --rate, in messages per second.
const (
	slowest = 0.001
	fastest = 1000
)

// choose turns the choices into a launch; the file's part is added by the caller.
func (a *app) choose(o choices, acc jobs.Account) (jobs.Launch, error) {
	purpose, err := campaign.ParsePurpose(o.purpose)
	if err != nil {
		return jobs.Launch{}, err
	}
	at, err := a.parseTime(o.at)
	if err != nil {
		return jobs.Launch{}, err
	}
	if o.rate != 0 && !(o.rate >= slowest && o.rate <= fastest) { // written so that NaN is refused
		return jobs.Launch{}, usage("%s", a.t("--rate %g: escriba mensajes por segundo, de %g a %d", "--rate %g: write "+
			"messages per second, from %g to %d", o.rate, slowest, fastest))
	}
	return jobs.Launch{
		Account: acc.Name, Template: campaign.Template{ID: strings.TrimSpace(o.template)}, Purpose: purpose,
		AnyHour: o.anyHour, Rate: o.rate, At: at, Mapping: o.mapping.canonical(),
	}, nil
}

func (a *app) parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	zone, err := time.LoadLocation(bogota)
	if err != nil {
		return time.Time{}, fmt.Errorf("load time zone: %w", err)
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("%s", a.t("--at %q no es una fecha con hora: escríbala como 2026-11-23T08:00", "--at %q is "+
		"no date with a time: write it like 2026-11-23T08:00", text))
}

func (a *app) checkCommand() *cobra.Command {
	var o choices
	c := &cobra.Command{
		Use: "check FILE",
		Short: a.t("Lee un archivo y dice qué se enviaría; no envía ni guarda nada",
			"Read a file and report; sends and stores nothing"),
		Example: `  enqueue check citas.xlsx
  enqueue check promo.csv --phone Celular --var 1=Nombre --var "2==15 %"
  cat promo.csv | enqueue check - --json`,
		Args: a.arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error { return a.check(c.Context(), args[0], o) },
	}
	a.choiceFlags(c, &o)
	return c
}

func (a *app) check(ctx context.Context, path string, o choices) error {
	a.accountName = o.account
	acc, configured, err := a.accountOrRules(o.account)
	if err != nil {
		return err
	}
	launch, err := a.choose(o, acc)
	if err != nil {
		return err
	}
	if configured {
		launch.Template = a.known(ctx, acc, launch.Template)
	}
	checked, err := a.read(ctx, path, o.mapping, acc, launch.Template)
	if err != nil {
		return err
	}
	defer checked.close()
	plan := jobs.Plan{Messages: checked.report.Valid}
	if configured {
		plan, err = a.plan(ctx, acc, launch, checked.report)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // a check sends nothing: the file's report is shown all the same
			code, text := a.explain(ctx, err)
			a.complain("%s", text)
			return errors.Join(a.report(checked, plan, nil), status(code))
		}
	}
	if err := a.report(checked, plan, nil); err != nil {
		return err
	}
	return status(rejected(checked.report))
}

// known completes a template, with the account's help if that comes soon.
func (a *app) known(ctx context.Context, acc jobs.Account, t campaign.Template) campaign.Template {
	ctx, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	return acc.Known(ctx, t)
}

// plan says what a launch would do. An account that does not answer soon leaves the balance unknown.
func (a *app) plan(ctx context.Context, acc jobs.Account, l jobs.Launch, r campaign.Report) (jobs.Plan, error) {
	asking, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	plan, err := acc.Plan(asking, l, r)
	if ctx.Err() != nil {
		return plan, ctx.Err()
	}
	return plan, err
}

func rejected(r campaign.Report) int {
	if r.Invalid > 0 {
		return exitRejected
	}
	return exitOK
}

// checked is a file that was read to its end once.
type checked struct {
	file   *file
	parsed *campaign.File
	report campaign.Report
}

func (c *checked) close() {
	_ = c.parsed.Close() // it was only read
	c.file.close()
}

// read checks a file. The caller closes the result.
func (a *app) read(
	ctx context.Context, path string, m mapping, acc jobs.Account, t campaign.Template,
) (*checked, error) {
	spec, err := a.spec(m, acc, t)
	if err != nil {
		return nil, err
	}
	f, err := a.openFile(ctx, path)
	if err != nil {
		return nil, err
	}
	parsed, err := campaign.Open(f.input(), spec)
	if err != nil {
		f.close()
		return nil, err
	}
	c := &checked{file: f, parsed: parsed}
	c.report, err = campaign.Check(parsed, func(*campaign.Recipient) error { return ctx.Err() })
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// document is what check and run --dry-run print as JSON; run adds the campaign, and its final status when it waits.
type document struct {
	File            string            `json:"file"`
	Format          string            `json:"format"`
	Encoding        string            `json:"encoding"`
	Delimiter       string            `json:"delimiter"`
	Sheet           string            `json:"sheet"`
	HeaderRow       int               `json:"header_row"`
	Rows            int               `json:"rows"`
	Valid           int               `json:"valid"`
	Invalid         int               `json:"invalid"`
	Skipped         int               `json:"skipped"`
	Warnings        int               `json:"warnings"`
	Columns         documentColumns   `json:"columns"`
	Problems        []documentProblem `json:"problems"`
	ProblemsOmitted int               `json:"problems_omitted"`
	ProblemCodes    map[string]int    `json:"problem_codes"`
	Notes           []documentProblem `json:"notes"`
	Plan            jobs.Plan         `json:"plan"`
	Campaign        string            `json:"campaign,omitempty"`
	Existing        bool              `json:"existing,omitempty"`
	SameContent     []string          `json:"same_content,omitempty"`
	Status          *jobs.Status      `json:"status,omitempty"`
}

type documentColumns struct {
	Phone       string   `json:"phone"`
	Vars        []string `json:"vars"`
	Media       string   `json:"media,omitempty"`
	CustomField string   `json:"custom_field,omitempty"`
	Unused      []string `json:"unused,omitempty"`
}

type documentProblem struct {
	Row    int    `json:"row"`
	Column string `json:"column"`
	Value  string `json:"value"`
	Code   string `json:"code"`
	Level  string `json:"level"`
	Reason string `json:"reason"`
	Fix    string `json:"fix"`
}

func (a *app) document(c *checked, plan jobs.Plan) document {
	r, l := c.report, c.report.Layout
	d := document{
		File: c.file.name, Format: l.Format, Encoding: l.Encoding, Delimiter: l.Delimiter, Sheet: l.Sheet,
		HeaderRow: l.HeaderRow, Rows: r.Rows, Valid: r.Valid, Invalid: r.Invalid, Skipped: r.Skipped,
		Warnings: r.Warnings, Problems: a.problems(r.Problems), ProblemsOmitted: r.ProblemsOmitted,
		ProblemCodes: r.Codes, Notes: a.problems(l.Notes), Plan: plan,
		Columns: documentColumns{Phone: l.Columns.Phone.Header, Vars: []string{}},
	}
	for _, v := range l.Columns.Vars {
		d.Columns.Vars = append(d.Columns.Vars, bound(v))
	}
	if l.Columns.Media != nil {
		d.Columns.Media = l.Columns.Media.Header
	}
	if l.Columns.CustomField != nil {
		d.Columns.CustomField = l.Columns.CustomField.Header
	}
	for _, u := range l.Columns.Unused {
		d.Columns.Unused = append(d.Columns.Unused, u.Header)
	}
	return d
}

func bound(v campaign.BoundVar) string {
	if v.Column == nil {
		return "=" + v.Fixed
	}
	return v.Column.Header
}

func (a *app) problems(list []campaign.Problem) []documentProblem {
	out := make([]documentProblem, 0, len(list))
	for _, p := range list {
		out = append(out, documentProblem{
			Row: p.Row, Column: p.Column, Value: p.Value, Code: p.Code, Level: p.Level.String(),
			Reason: p.Reason(a.lang), Fix: p.Fix(a.lang),
		})
	}
	return out
}

// report prints what was understood of a file. more may add to the JSON document.
func (a *app) report(c *checked, plan jobs.Plan, more func(*document)) error {
	if a.json {
		d := a.document(c, plan)
		if more != nil {
			more(&d)
		}
		return a.printJSON(d)
	}
	a.describe(a.out, c, plan)
	return nil
}

// shownProblems is how many problems a terminal shows; --json has them all.
const shownProblems = 15

func (a *app) describe(w io.Writer, c *checked, plan jobs.Plan) {
	r, l := c.report, c.report.Layout
	p := func(es, en string, args ...any) { _, _ = fmt.Fprintln(w, a.t(es, en, args...)) }
	form := strings.Join(nonEmpty(l.Format, l.Encoding, quoted(l.Delimiter), l.Sheet), ", ")
	p("%s (%s), títulos en la fila %d", "%s (%s), headers in row %d", c.file.name, form, l.HeaderRow)
	vars := make([]string, 0, len(l.Columns.Vars))
	for _, v := range l.Columns.Vars {
		vars = append(vars, fmt.Sprintf("{%d} = %s", v.N, bound(v)))
	}
	p("Teléfono: %s   Variables: %s", "Phone: %s   Variables: %s", l.Columns.Phone.Header, strings.Join(vars, ", "))
	p("%s: %s, %s, %s, %s", "%s: %s, %s, %s, %s", a.rows(r.Rows),
		a.counted(r.Valid, [2]string{"se envía", "se envían"}, [2]string{"to be sent", "to be sent"}),
		a.counted(r.Invalid, [2]string{"rechazada", "rechazadas"}, [2]string{"rejected", "rejected"}),
		a.counted(r.Skipped, [2]string{"omitida", "omitidas"}, [2]string{"skipped", "skipped"}),
		a.counted(r.Warnings, [2]string{"aviso", "avisos"}, [2]string{"warning", "warnings"}))
	for _, n := range l.Notes {
		_, _ = fmt.Fprintf(w, "  · %s\n", strings.TrimSpace(n.Reason(a.lang)+" "+n.Fix(a.lang)))
	}
	for i, problem := range r.Problems {
		if i == shownProblems {
			p("  … y %s más: véalos con --json", "  … and %s more: see them with --json",
				a.count(len(r.Problems)+r.ProblemsOmitted-i))
			break
		}
		p("  Fila %d, %s: %s %s", "  Row %d, %s: %s %s", problem.Row, problem.Column, problem.Reason(a.lang),
			problem.Fix(a.lang))
	}
	a.describePlan(w, plan)
}

func (a *app) describePlan(w io.Writer, plan jobs.Plan) {
	parts := []string{"Plan: " + a.messages(plan.Messages)}
	if plan.Cost != nil {
		parts = append(parts, a.t("costo %s", "cost %s", a.amount(*plan.Cost)))
	}
	if plan.Balance != nil {
		parts = append(parts, a.t("saldo %s", "balance %s", a.amount(*plan.Balance)))
	} else if plan.FinishesAt != nil { // an account was asked
		parts = append(parts, a.t("saldo desconocido", "balance unknown"))
	}
	if plan.FinishesAt != nil {
		parts = append(parts, a.t("termina %s", "ends %s", a.clock(*plan.FinishesAt)))
	}
	_, _ = fmt.Fprintln(w, strings.Join(parts, ", "))
}

func quoted(s string) string {
	switch s {
	case "":
		return ""
	case "\t":
		return `"tab"`
	}
	return `"` + s + `"`
}

func nonEmpty(list ...string) []string {
	var out []string
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// byCount lists codes, the most frequent first.
func byCount(codes map[string]int) []string {
	list := make([]string, 0, len(codes))
	for code := range codes {
		list = append(list, code)
	}
	sort.Slice(list, func(i, j int) bool {
		if codes[list[i]] != codes[list[j]] {
			return codes[list[i]] > codes[list[j]]
		}
		return list[i] < list[j]
	})
	return list
}
