package jobs

import (
	"strings"
	"time"

	"pregon/internal/ledger"
)

// Attempt is one attempt at a row, or a person's decision about it (class "person").
type Attempt struct {
	Attempt int             `json:"attempt"` // its number; attempts that sent nothing are missing
	At      *time.Time      `json:"at"`      // when its result was recorded
	TookMS  int64           `json:"took_ms"` // from the sending to the answer
	State   ledger.RowState `json:"state"`   // what the row became
	Class   string          `json:"class"`
	Code    string          `json:"code,omitempty"`
	Why     string          `json:"why,omitempty"` // the provider's words
}

func history(r ledger.Record) []Attempt {
	attempts := r.Attempts()
	all := make([]Attempt, 0, len(attempts))
	for _, a := range attempts {
		all = append(all, Attempt{
			Attempt: a.Fence, At: instant(a.At), TookMS: a.Took.Milliseconds(), State: a.State, Class: a.Class, Code: a.Code,
			Why: a.Why,
		})
	}
	return all
}

// attempts counts the attempts at a row that may have sent something: claims that were given back are none.
func attempts(h []Attempt, r ledger.Record) int {
	const whole = 8 // a longer history may have lost its beginning
	n := 0
	for _, a := range h {
		if !a.ByPerson() {
			n++
		}
	}
	if n > whole {
		return r.Fence
	}
	if r.State == ledger.Sending {
		n++
	}
	return n
}

// ByPerson reports whether this is a person's decision and not an attempt.
func (a Attempt) ByPerson() bool { return a.Class == classPerson }

// What says in a few words what an attempt came to, or what a person decided.
func (a Attempt) What(lang string) string {
	if !a.ByPerson() {
		return ClassText(a.Class, lang)
	}
	decision := ledger.Decision(strings.TrimPrefix(a.Code, "decided_"))
	return ClassText(a.Class, lang) + ": " + DecisionText(decision, lang)
}

// Took says how long the answer took: "0,3 s"; "" for a decision.
func (a Attempt) Took(lang string) string {
	const tenth = 100 // of a second
	switch {
	case a.ByPerson():
		return ""
	case a.TookMS < tenth:
		return say(lang, "<0,1 s", "<0.1 s")
	}
	return Amount(float64((a.TookMS+tenth/2)/tenth)/10, lang) + " s"
}

// Story is the row's history on one line: "10:02:03 ahora no 429 (0,3 s); 10:02:41 aceptado (0,2 s)". The date is told
// where it is not that of the last change.
func (r Result) Story(lang string, zone *time.Location) string {
	day := ""
	if r.ChangedAt != nil {
		day = r.ChangedAt.In(zone).Format(time.DateOnly)
	}
	return story(r.History, day, lang, zone)
}

func story(attempts []Attempt, day, lang string, zone *time.Location) string {
	parts := make([]string, 0, len(attempts))
	for _, a := range attempts {
		var words []string
		if a.At != nil {
			at := a.At.In(zone)
			if at.Format(time.DateOnly) != day {
				words = append(words, at.Format(time.DateOnly))
			}
			words = append(words, at.Format(time.TimeOnly))
		}
		words = append(words, a.What(lang))
		if !a.ByPerson() {
			if a.Code != "" {
				words = append(words, a.Code)
			}
			words = append(words, "("+a.Took(lang)+")")
		}
		parts = append(parts, strings.Join(words, " "))
	}
	return strings.Join(parts, "; ")
}
