package jobs

import (
	"strings"
	"testing"
	"time"

	"pregon/internal/ledger"
	"pregon/providers"
)

// at is a moment of the tests' day, in UTC.
func at(clock string) time.Time {
	t, err := time.Parse(time.DateTime, "2026-11-20 "+clock)
	if err != nil {
		panic(err)
	}
	return t
}

func momentOf(clock string) *time.Time { t := at(clock); return &t }

// doubtful is a row in doubt of which nothing more is known.
func doubtful(change func(*Doubt)) Doubt {
	d := Doubt{
		Row: 5, Phone: international("0500"), Attempt: 1, From: at("10:02:03").Add(700 * time.Millisecond), To: at("10:02:04"),
		Code: "http_500", KnownDoubts: 1, History: []Attempt{{Attempt: 1, Class: "unknown", State: ledger.InDoubt}},
	}
	change(&d)
	return d
}

func TestTheEvidenceInWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Doubt)
		es, en []string
	}{
		"Alone": {func(*Doubt) {},
			[]string{"Se estaba enviando el 2026-11-20 de 10:02:03 a 10:02:04.", "pudo haber salido", " Código http_500.",
				"Es el único intento.", "Aún no se reciben acuses ni respuestas"},
			[]string{"It was being sent on 2026-11-20 from 10:02:03 to 10:02:04.", "may have left", " Code http_500.",
				"It is the only attempt.", "Reports and replies are not received yet"}},
		"WithinASecond": {func(d *Doubt) { d.From = d.To },
			[]string{"el 2026-11-20 a las 10:02:04."}, []string{"on 2026-11-20 at 10:02:04."}},
		"OverMidnight": {func(d *Doubt) { d.From = d.To.AddDate(0, 0, -1) },
			[]string{"entre el 2026-11-19 10:02:04 y el 2026-11-20 10:02:04."},
			[]string{"between 2026-11-19 10:02:04 and 2026-11-20 10:02:04."}},
		"ProviderSpoke": {func(d *Doubt) { d.Code, d.Why = "9999", "mensaje raro" },
			[]string{"El proveedor respondió el código 9999", "Código 9999; el proveedor dijo: «mensaje raro»."},
			[]string{"The provider answered code 9999", `Code 9999; the provider said: "mensaje raro".`}},
		"NoCode": {func(d *Doubt) { d.Code = "" }, []string{"No se sabe qué pasó."}, []string{"What happened is not known."}},
		"WorkerLost": {func(d *Doubt) { d.Code = "worker_lost" },
			[]string{"El programa se detuvo mientras enviaba"}, []string{"The program stopped while sending"}},
		"TriedTwice": {func(d *Doubt) {
			d.History = []Attempt{
				{Attempt: 1, At: momentOf("10:01:00"), TookMS: 320, Class: "not_now", Code: "429"},
				{Attempt: 2, At: momentOf("10:02:04"), TookMS: 12_040, Class: "unknown", Code: "timeout"},
			}
		},
			[]string{"Historial: 10:01:00 ahora no 429 (0,3 s); 10:02:04 pudo salir timeout (12 s)."},
			[]string{"History: 10:01:00 not now 429 (0.3 s); 10:02:04 may have left timeout (12 s)."}},
		"AsManyReportsAsDoubts": {func(d *Doubt) { d.Orphans, d.KnownDoubts = 2, 2 },
			[]string{"2 acuses de mensajes que ninguna fila conoce en ese lapso, y 2 filas en duda: probablemente salieron."},
			[]string{"2 reports about messages that no row knows in that time, and 2 rows in doubt: they probably left."}},
		"TheOnlyOneCanBeMeant": {func(d *Doubt) { d.Orphans = 1 },
			[]string{"1 acuse de un mensaje que ninguna fila conoce en ese lapso, y 1 fila en duda: probablemente salió."},
			[]string{"1 report about a message that no row knows in that time, and 1 row in doubt: it probably left."}},
		"FewerReportsThanDoubts": {func(d *Doubt) { d.Orphans, d.KnownDoubts = 1, 3 },
			[]string{"3 filas en duda: alguna salió, y no se sabe cuál."},
			[]string{"3 rows in doubt: one or another left, and it is not known which."}},
		"TheyReplied": {func(d *Doubt) { d.Replied = momentOf("11:00:00") },
			[]string{"La persona respondió el 2026-11-20 11:00:00: el mensaje le llegó."},
			[]string{"The person replied on 2026-11-20 11:00:00: the message arrived."}},
	} {
		d := doubtful(c.change)
		for lang, want := range map[string][]string{"es": c.es, "en": c.en} {
			got := strings.Join(d.Evidence(Account{}, lang, time.UTC), "\n")
			for _, words := range want {
				if !strings.Contains(got, words) {
					t.Errorf("%s in %s lacks %q:\n%s", name, lang, words, got)
				}
			}
			if d.Replied != nil && strings.Contains(got, want[0]+"\n") {
				t.Errorf("%s in %s says more beside the proof:\n%s", name, lang, got)
			}
		}
	}
}

// Nothing may be concluded from reports that are missing: they are not received yet.
func TestMissingReportsSayNothing(t *testing.T) {
	t.Parallel()
	for lang, word := range map[string]string{"es": "probablemente", "en": "probably"} {
		d := doubtful(func(d *Doubt) { d.KnownDoubts = 4 })
		if got := strings.Join(d.Evidence(Account{}, lang, time.UTC), "\n"); strings.Contains(got, word) {
			t.Errorf("without reports the words are:\n%s", got)
		}
	}
}

func TestTheEvidenceKeepsToTheZone(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("-05", -5*3600)
	got := doubtful(func(*Doubt) {}).Evidence(Account{}, "es", zone)[0]
	if want := "Se estaba enviando el 2026-11-20 de 05:02:03 a 05:02:04."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTheBalanceInWords(t *testing.T) {
	t.Parallel()
	one, three := 1.0, 3
	e := BalanceEvidence{Before: at("10:00:00"), After: at("10:05:00"), Spent: 1060, Accepted: 1057, Doubts: 4}
	for name, c := range map[string]struct {
		cost    *float64
		charged *int
		es, en  string
	}{
		"Charged": {&one, &three, "se gastaron 1.060; en ese tiempo el proveedor aceptó 1.057 mensajes de esta campaña. Parece " +
			"que se cobraron 3 de las 4 filas que estaban en duda; es solo un indicio, porque otros pueden usar la cuenta.",
			"1,060 were spent; meanwhile the provider accepted 1,057 messages of this campaign. It seems that 3 of the 4 rows " +
				"in doubt were charged; that is a hint only, because others may use the account."},
		"NoPrice": {nil, nil, "Sin el precio por mensaje", "Without the account's price"},
		"Odd":     {&one, nil, "Las cuentas no cuadran", "The figures do not add up"},
	} {
		e.Cost, e.Charged = c.cost, c.charged
		if got := e.Evidence("es", time.UTC); !strings.Contains(got, c.es) ||
			!strings.HasPrefix(got, "Saldo: del 2026-11-20 10:00:00 al 2026-11-20 10:05:00 ") {
			t.Errorf("%s: %s", name, got)
		}
		if got := e.Evidence("en", time.UTC); !strings.Contains(got, c.en) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestOnlyBalancesThatSawAllDoubtsAreCompared(t *testing.T) {
	t.Parallel()
	rows := []Doubt{
		{From: at("10:02:00"), To: at("10:02:01")},
		{From: at("10:01:00"), To: at("10:03:00")},
	}
	mark := func(clock string, inDoubt int) ledger.BalanceMark {
		return ledger.BalanceMark{At: at(clock), InDoubt: inDoubt}
	}
	for name, c := range map[string]struct {
		marks         []ledger.BalanceMark
		before, after string
	}{
		"None":         {nil, "", ""},
		"OnlyBefore":   {[]ledger.BalanceMark{mark("10:00:00", 0)}, "10:00:00", ""},
		"OnlyAfter":    {[]ledger.BalanceMark{mark("10:02:00", 1), mark("10:04:00", 2)}, "", ""},
		"Both":         {[]ledger.BalanceMark{mark("10:00:00", 0), mark("10:04:00", 2)}, "10:00:00", "10:04:00"},
		"TheNearest":   {[]ledger.BalanceMark{mark("09:00:00", 0), mark("10:00:59", 1), mark("10:02:00", 2), mark("10:03:01", 3), mark("11:00:00", 3)}, "10:00:59", "10:03:01"},
		"SawOneOnly":   {[]ledger.BalanceMark{mark("10:00:00", 0), mark("10:03:01", 1), mark("10:03:30", 2)}, "10:00:00", "10:03:30"},
		"OthersBefore": {[]ledger.BalanceMark{mark("10:00:00", 5), mark("10:04:00", 6)}, "10:00:00", ""},
	} {
		before, after := around(c.marks, rows)
		for got, want := range map[*ledger.BalanceMark]string{before: c.before, after: c.after} {
			if got == nil && want == "" {
				continue
			}
			if got == nil || got.At.Format(time.TimeOnly) != want {
				t.Errorf("%s: %v, want %q", name, got, want)
			}
		}
	}
}

func TestEveryClassAndDecisionHasWords(t *testing.T) {
	t.Parallel()
	classes := []string{classPerson}
	for c := providers.Unknown; c <= providers.Later; c++ {
		classes = append(classes, c.String())
	}
	for _, lang := range []string{"es", "en"} {
		seen := make(map[string]string)
		for _, class := range classes {
			text := ClassText(class, lang)
			if _, ok := classTexts[class]; !ok || seen[text] != "" {
				t.Errorf("class %s in %s reads %q, as does %q", class, lang, text, seen[text])
			}
			seen[text] = class
		}
		for _, d := range []ledger.Decision{ledger.CountAsSent, ledger.SendAgain, ledger.TryAgain} {
			if text := DecisionText(d, lang); text == string(d) || text == "" {
				t.Errorf("decision %s in %s reads %q", d, lang, text)
			}
			if text := CodeText(Account{}, "decided_"+string(d), lang); strings.Contains(text, "decided_") {
				t.Errorf("the code of decision %s in %s reads %q", d, lang, text)
			}
		}
	}
	if ClassText("new", "es") != "new" || DecisionText("new", "es") != "new" {
		t.Error("an unknown class or decision hides itself")
	}
}

// An account that is not configured here takes its provider's codes with it, but not those of the connection.
func TestCodesOfTheConnectionAreExplainedWithoutTheAccount(t *testing.T) {
	t.Parallel()
	for _, code := range []string{
		providers.CodeGate, providers.CodeNoConnection, providers.CodeTLS, providers.CodeCancelled, providers.CodeBadRequest,
		providers.CodeTimeout, providers.CodeInterrupted, providers.CodeReset, providers.CodeMalformed, providers.CodeCutAnswer,
		providers.CodeNotJSON, providers.CodeNoCode, "http_502", "http_401", "worker_lost", codeInternal,
	} {
		for lang, foreign := range map[string]string{"es": "no describe", "en": "does not list"} {
			if text := CodeText(Account{}, code, lang); text == "" || strings.Contains(text, foreign) {
				t.Errorf("%s in %s reads %q", code, lang, text)
			}
		}
	}
}

func TestARowsStory(t *testing.T) {
	t.Parallel()
	r := Result{ChangedAt: momentOf("10:30:00"), History: []Attempt{
		{Attempt: 1, At: new(at("10:02:03").AddDate(0, 0, -1)), TookMS: 320, Class: "not_now", Code: "429"},
		{Attempt: 2, At: momentOf("10:02:41"), TookMS: 60_000, Class: "unknown", Code: "timeout"},
		{Attempt: 2, At: momentOf("10:20:00"), Class: classPerson, Code: codeResent},
		{Attempt: 3, At: momentOf("10:30:00"), TookMS: 99, Class: "accepted"},
	}}
	want := "2026-11-19 10:02:03 ahora no 429 (0,3 s); 10:02:41 pudo salir timeout (60 s); " +
		"10:20:00 una persona: enviarla de nuevo; 10:30:00 aceptado (<0,1 s)"
	if got := r.Story("es", time.UTC); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	want = "2026-11-19 10:02:03 not now 429 (0.3 s); 10:02:41 may have left timeout (60 s); " +
		"10:20:00 a person: send it again; 10:30:00 accepted (<0.1 s)"
	if got := r.Story("en", time.UTC); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := (Result{}).Story("es", time.UTC); got != "" {
		t.Errorf("a row that was never tried has the story %q", got)
	}
}
