package simulator

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// DefaultLogin and DefaultToken are the credentials of a simulator that was given none.
const (
	DefaultLogin = "demo@example.com"
	DefaultToken = "demo"
)

// DefaultBalance is the balance of a simulator that was given none, in units of Cost.
const DefaultBalance = 1_000_000

// Options shapes a simulator. The zero value is a well-behaved provider that accepts everything the document allows.
type Options struct {
	// Login and Token are the credentials that are let in; "" means DefaultLogin and DefaultToken.
	Login, Token string
	// Balance is what the account starts with; 0 means DefaultBalance, and a negative number an empty account.
	Balance int64
	// Cost is what one accepted message takes from the balance; 0 means 1, and a negative number that sending is free.
	Cost int64
	// Templates are those of the account; nil means DefaultTemplates, and an empty slice an account without any.
	Templates []Template
	// NoChatbot makes every call with good credentials answer code 3.
	NoChatbot bool
	// BotInactive makes every send answer code 5 although there is balance, which is the code's second meaning.
	BotInactive bool
	// Latency is how long an answer takes; Jitter adds a random part between 0 and itself. 0 means none. A message
	// arrives before the wait: a client that gives up meanwhile has sent it.
	Latency, Jitter time.Duration
	// Rate is how many sends any one second admits; those above it get 429 with Retry-After: 1. 0 means no limit.
	Rate int
	// Faults are the shares of sends that go wrong; zero means none.
	Faults Faults
	// Oddities are the ways in which answers differ from tidy JSON; zero means none.
	Oddities Oddities
	// KeepMessages is about how many messages [Server.Messages] remembers, the newest ones (up to 1,023 more are
	// kept, since whole pages are dropped); 0 means all, and a negative number none. Counts per phone are always kept.
	KeepMessages int
}

// Template is one message template of the account.
type Template struct {
	ID   string `json:"id"`   // what id_template names, for example "990"
	Name string `json:"name"` // nombre_plantilla
	Text string `json:"text"` // plantilla_aprobada; variables are written {1} or {{1}}
}

// Oddities are ways of answering that the document shows or that its platform, PHP behind Apache, is known for. A
// client has to live with each of them.
type Oddities struct {
	HTMLType       bool // JSON is labelled text/html
	BOM            bool // the body begins with a byte order mark
	Notice         bool // a PHP notice stands before the JSON
	StringCodes    bool // "code":"1" instead of "code":1
	NumberBalance  bool // "balance":163 instead of "balance":"163"
	GroupedBalance bool // "balance":"1,163.00"
}

// DefaultTemplates returns the templates of a simulator that was given none: 990 with three variables, after the
// example in the contacto-virtual document, section 3; 991 with two; 992 with none.
func DefaultTemplates() []Template {
	return []Template{
		{ID: "990", Name: "Asignación de cita", Text: "¡Hola *{1}*! A continuación, le presentamos información de su " +
			"cita *asignada* en modalidad *presencial* con el profesional *{2}*.\n\nFecha y hora: *{3}*"},
		{ID: "991", Name: "Promoción", Text: "¡Hola *{1}*! Esta semana tiene *{2}* de descuento en toda la tienda."},
		{ID: "992", Name: "Aviso general", Text: "Nuestras líneas de atención están disponibles en el horario de siempre."},
	}
}

// Validate says what is wrong with the options, or nil. [New] panics on what it refuses.
func (o Options) Validate() error {
	var errs []error
	if o.Latency < 0 || o.Jitter < 0 {
		errs = append(errs, errors.New("latency and jitter cannot be negative"))
	}
	if o.Rate < 0 {
		errs = append(errs, errors.New("rate cannot be negative"))
	}
	if o.Oddities.NumberBalance && o.Oddities.GroupedBalance {
		errs = append(errs, errors.New("a balance cannot be both a bare number and grouped text"))
	}
	seen := make(map[string]bool)
	for i, t := range o.Templates {
		if t.ID == "" {
			errs = append(errs, fmt.Errorf("template %d has no id", i+1))
		} else if seen[t.ID] {
			errs = append(errs, fmt.Errorf("template id %q is given twice", t.ID))
		}
		seen[t.ID] = true
	}
	if err := o.Faults.Validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// withDefaults fills what was left at its zero value and turns the negative escapes into what they stand for.
func (o Options) withDefaults() Options {
	if o.Login == "" {
		o.Login = DefaultLogin
	}
	if o.Token == "" {
		o.Token = DefaultToken
	}
	if o.Balance == 0 {
		o.Balance = DefaultBalance
	}
	o.Balance = max(o.Balance, 0)
	if o.Cost == 0 {
		o.Cost = 1
	}
	o.Cost = max(o.Cost, 0)
	if o.Templates == nil {
		o.Templates = DefaultTemplates()
	}
	return o
}

var placeholder = regexp.MustCompile(`\{+\s*([0-9]+)\s*\}+`)

// variables counts the distinct variables of the template: a number that appears twice is filled from one value.
func (t Template) variables() int {
	distinct := make(map[string]bool)
	for _, m := range placeholder.FindAllStringSubmatch(t.Text, -1) {
		distinct[m[1]] = true
	}
	return len(distinct)
}
