package jobs

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"pregon/internal/ledger"
	"pregon/providers"
)

// say picks the text of a language: "en" is English, everything else Spanish.
func say(lang, es, en string, args ...any) string {
	text := es
	if lang == "en" {
		text = en
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// pick is say for a table of words.
func pick(lang string, t [2]string) string { return say(lang, t[0], t[1]) }

// Amount writes money, a balance or a rate as people do: 1.234,5 in Spanish, 1,234.5 in English, four decimals at most.
func Amount(v float64, lang string) string {
	const decimals = 1e4
	text := strconv.FormatFloat(math.Round(v*decimals)/decimals+0, 'f', -1, 64) // + 0: there is no −0
	group, point := ".", ","
	if lang == "en" {
		group, point = ",", "."
	}
	sign := ""
	if rest, negative := strings.CutPrefix(text, "-"); negative {
		sign, text = "-", rest
	}
	whole, fraction, broken := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + group + whole[i:]
	}
	if broken {
		whole += point + fraction
	}
	return sign + whole
}

// counted writes how many there are of something: "1 fila", "1.200 filas". es and en are the singular and the plural.
func counted(n int, lang string, es, en [2]string) string {
	i := 1
	if n == 1 {
		i = 0
	}
	return Amount(float64(n), lang) + " " + say(lang, es[i], en[i])
}

func rowsText(n int, lang string) string {
	return counted(n, lang, [2]string{"fila", "filas"}, [2]string{"row", "rows"})
}

// stateTexts are the states in people's words.
var stateTexts = map[ledger.RowState][2]string{
	ledger.Queued:       {"En cola", "Queued"},
	ledger.Sending:      {"Enviando", "Sending"},
	ledger.Waiting:      {"En espera", "Waiting"},
	ledger.Accepted:     {"Aceptado", "Accepted"},
	ledger.Sent:         {"Enviado", "Sent"},
	ledger.Delivered:    {"Entregado", "Delivered"},
	ledger.Read:         {"Leído", "Read"},
	ledger.Failed:       {"Fallido", "Failed"},
	ledger.InDoubt:      {"En duda", "In doubt"},
	ledger.SkippedRow:   {"Omitido", "Skipped"},
	ledger.CancelledRow: {"Cancelado", "Cancelled"},
	ledger.InvalidRow:   {"No válido", "Invalid"},
}

// StateText is a row's state in people's words.
func StateText(s ledger.RowState, lang string) string {
	if t, ok := stateTexts[s]; ok {
		return pick(lang, t)
	}
	return string(s)
}

// classTexts are what an answer means, in a word or three.
var classTexts = map[string][2]string{
	providers.Unknown.String():  {"pudo salir", "may have left"},
	providers.Accepted.String(): {"aceptado", "accepted"},
	providers.Unsent.String():   {"no salió", "did not leave"},
	providers.NotNow.String():   {"ahora no", "not now"},
	providers.Rejected.String(): {"rechazado", "rejected"},
	providers.Content.String():  {"contenido no aceptado", "content refused"},
	providers.Blocked.String():  {"cuenta detenida", "account stopped"},
	providers.Broke.String():    {"sin saldo", "no balance"},
	providers.Later.String():    {"otro día", "another day"},
	classPerson:                 {"una persona", "a person"},
}

// classPerson marks a person's decision in a row's history, as the ledger writes it.
const classPerson = "person"

// ClassText is the class of an attempt in people's words.
func ClassText(class, lang string) string {
	if t, ok := classTexts[class]; ok {
		return pick(lang, t)
	}
	return class
}

// The codes that the ledger gives a row about which a person decided.
const (
	codeCounted = "decided_sent"
	codeResent  = "decided_resend"
	codeRetried = "decided_retry"
)

// decisionTexts are decisions as one says what somebody did.
var decisionTexts = map[ledger.Decision][2]string{
	ledger.CountAsSent: {"contarla como enviada", "count it as sent"},
	ledger.SendAgain:   {"enviarla de nuevo", "send it again"},
	ledger.TryAgain:    {"intentarla de nuevo", "try it again"},
}

// DecisionText is a person's decision in words.
func DecisionText(d ledger.Decision, lang string) string {
	if t, ok := decisionTexts[d]; ok {
		return pick(lang, t)
	}
	return string(d)
}

// ownCodes explains the codes that are ours and not a provider's.
var ownCodes = map[string][2]string{
	"worker_lost": {
		"El programa se detuvo mientras enviaba: pudo salir o no. Revísela antes de reenviar.",
		"The program stopped while sending: it may have left or not. Look before sending again.",
	},
	codeInternal: {
		"Falla interna al enviar: pudo salir o no. Revísela antes de reenviar.",
		"Internal failure while sending: it may have left or not. Look before sending again.",
	},
	codeCounted: {
		"Estaba en duda y una persona decidió contarla como enviada. No hay nada que hacer.",
		"It was in doubt and a person decided to count it as sent. Nothing to do.",
	},
	codeResent: {
		"Estaba en duda y una persona decidió enviarla de nuevo. No hay nada que hacer: saldrá con las demás.",
		"It was in doubt and a person decided to send it again. Nothing to do: it will leave with the others.",
	},
	codeRetried: {
		"Había fallado y una persona decidió intentarla de nuevo. No hay nada que hacer: saldrá con las demás.",
		"It had failed and a person decided to try it again. Nothing to do: it will leave with the others.",
	},
}

// CodeText explains a code to people; "" for a code that nobody explains.
func CodeText(a Account, code, lang string) string {
	if code == "" {
		return ""
	}
	if t, ok := ownCodes[code]; ok {
		return pick(lang, t)
	}
	if m, ok := a.Describe(code); ok {
		return m.Text(lang)
	}
	if m, ok := providers.Describe(code); ok { // of the connection, whoever the provider is
		return m.Text(lang)
	}
	return say(lang, "El proveedor respondió el código %s, que su documento no describe.",
		"The provider answered code %s, which its document does not list.", code)
}
