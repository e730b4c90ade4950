package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// What follows are the JSON documents as scripts know them, written down a second time: a name that changes here breaks
// somebody's script.

type checkDoc struct {
	File            string         `json:"file"`
	Format          string         `json:"format"`
	Encoding        string         `json:"encoding"`
	Delimiter       string         `json:"delimiter"`
	Sheet           string         `json:"sheet"`
	HeaderRow       int            `json:"header_row"`
	Rows            int            `json:"rows"`
	Valid           int            `json:"valid"`
	Invalid         int            `json:"invalid"`
	Skipped         int            `json:"skipped"`
	Warnings        int            `json:"warnings"`
	Columns         columnsDoc     `json:"columns"`
	Problems        []problemDoc   `json:"problems"`
	ProblemsOmitted int            `json:"problems_omitted"`
	ProblemCodes    map[string]int `json:"problem_codes"`
	Notes           []problemDoc   `json:"notes"`
	Plan            planDoc        `json:"plan"`
	Campaign        string         `json:"campaign"`
	Existing        bool           `json:"existing"`
	SameContent     []string       `json:"same_content"`
	Status          *statusDoc     `json:"status"`
}

type columnsDoc struct {
	Phone       string   `json:"phone"`
	Vars        []string `json:"vars"`
	Media       string   `json:"media"`
	CustomField string   `json:"custom_field"`
	Unused      []string `json:"unused"`
}

type problemDoc struct {
	Row    int    `json:"row"`
	Column string `json:"column"`
	Value  string `json:"value"`
	Code   string `json:"code"`
	Level  string `json:"level"`
	Reason string `json:"reason"`
	Fix    string `json:"fix"`
}

type planDoc struct {
	Messages   int        `json:"messages"`
	Cost       *float64   `json:"cost"`
	Balance    *float64   `json:"balance"`
	FinishesAt *time.Time `json:"finishes_at"`
}

type statusDoc struct {
	Campaign   string         `json:"campaign"`
	Name       string         `json:"name"`
	State      string         `json:"state"`
	Reason     string         `json:"reason"`
	Detail     string         `json:"detail"`
	Trial      bool           `json:"trial"`
	Account    string         `json:"account"`
	Total      int            `json:"total"`
	Counts     map[string]int `json:"counts"`
	Codes      map[string]int `json:"codes"`
	Rate       float64        `json:"rate"`
	ETA        *time.Time     `json:"eta"`
	CreatedAt  *time.Time     `json:"created_at"`
	StartedAt  *time.Time     `json:"started_at"`
	FinishedAt *time.Time     `json:"finished_at"`
	Scheduled  *time.Time     `json:"scheduled_at"`
	Template   string         `json:"template"`
	File       string         `json:"file"`
}

type resultDoc struct {
	Row       int          `json:"row"`
	Phone     string       `json:"phone"`
	State     string       `json:"state"`
	Code      string       `json:"code"`
	Column    string       `json:"column"`
	MessageID string       `json:"message_id"`
	Attempts  int          `json:"attempts"`
	History   []attemptDoc `json:"history"`
	ChangedAt *time.Time   `json:"changed_at"`
	Vars      []string     `json:"vars"`
	Custom    string       `json:"custom_field"`
	Reason    string       `json:"reason"`
}

type attemptDoc struct {
	Attempt int        `json:"attempt"`
	At      *time.Time `json:"at"`
	TookMS  int        `json:"took_ms"`
	State   string     `json:"state"`
	Class   string     `json:"class"`
	Code    string     `json:"code"`
	Why     string     `json:"why"`
}

type doubtsDoc struct {
	Campaign  string        `json:"campaign"`
	Rows      []doubtDoc    `json:"rows"`
	Balance   *balanceDoc   `json:"balance"`
	Decisions []decisionDoc `json:"decisions"`
}

type doubtDoc struct {
	Row     int          `json:"row"`
	Phone   string       `json:"phone"`
	Attempt int          `json:"attempt"`
	From    time.Time    `json:"from"`
	To      time.Time    `json:"to"`
	Code    string       `json:"code"`
	Why     string       `json:"why"`
	Replied *time.Time   `json:"replied_at"`
	Orphans int          `json:"orphans"`
	Doubts  int          `json:"doubts_in_time"`
	History []attemptDoc `json:"history"`
}

type balanceDoc struct {
	Before   time.Time `json:"before"`
	After    time.Time `json:"after"`
	Spent    float64   `json:"spent"`
	Accepted int       `json:"accepted"`
	Doubts   int       `json:"in_doubt"`
	Cost     *float64  `json:"cost"`
	Charged  *int      `json:"charged"`
}

type decisionDoc struct {
	At       time.Time `json:"at"`
	Decision string    `json:"decision"`
	Row      int       `json:"row"`
	Attempt  int       `json:"attempt"`
	Code     string    `json:"code"`
	Who      string    `json:"who"`
}

type ruledDoc struct {
	Campaign string    `json:"campaign"`
	Decision string    `json:"decision"`
	Done     []int     `json:"done"`
	Left     []leftDoc `json:"left"`
}

type leftDoc struct {
	Row    int    `json:"row"`
	Reason string `json:"reason"`
	State  string `json:"state"`
}

type retriedDoc struct {
	Campaign string         `json:"campaign"`
	Rows     []int          `json:"rows"`
	Before   int            `json:"before"`
	Lasting  int            `json:"lasting"`
	Codes    map[string]int `json:"codes"`
}

// The names that must be there, always. A name with "?" may be.
var (
	checkNames = []string{
		"file", "format", "encoding", "delimiter", "sheet", "header_row", "rows", "valid", "invalid", "skipped", "warnings",
		"columns", "problems", "problems_omitted", "problem_codes", "notes", "plan",
	}
	runNames     = slices.Concat(checkNames, []string{"campaign", "existing?", "same_content?", "status?"})
	columnsNames = []string{"phone", "vars", "media?", "custom_field?", "unused?"}
	problemNames = []string{"row", "column", "value", "code", "level", "reason", "fix"}
	planNames    = []string{"messages", "cost", "balance", "finishes_at"}
	statusNames  = []string{
		"campaign", "name", "state", "reason", "detail?", "trial?", "account", "total", "counts", "codes", "rate", "eta", "created_at",
		"started_at", "finished_at", "scheduled_at?", "template?", "file",
	}
	countNames = []string{
		"queued", "sending", "waiting", "accepted", "sent", "delivered", "read", "failed", "in_doubt", "skipped", "cancelled",
		"invalid",
	}
)

// shape checks that an object has just the names it should have.
func shape(t *testing.T, what string, object any, names []string) map[string]any {
	t.Helper()
	fields, ok := object.(map[string]any)
	if !ok {
		t.Fatalf("%s is %T, not an object", what, object)
	}
	rest := maps.Clone(fields)
	for _, name := range names {
		name, optional := strings.CutSuffix(name, "?")
		if _, there := fields[name]; !there && !optional {
			t.Errorf("%s lacks %q", what, name)
		}
		delete(rest, name)
	}
	for name := range rest {
		t.Errorf("%s has %q, which nobody wrote down", what, name)
	}
	return fields
}

// checkShape checks the document of check, and with more names of run.
func checkShape(o outcome, names []string) checkDoc {
	o.t.Helper()
	doc := parsed[map[string]any](o)
	shape(o.t, "the document", doc, names)
	shape(o.t, "columns", doc["columns"], columnsNames)
	shape(o.t, "plan", doc["plan"], planNames)
	for _, p := range doc["problems"].([]any) {
		shape(o.t, "a problem", p, problemNames)
	}
	if s, ok := doc["status"]; ok {
		statusShape(o.t, s)
	}
	typed := parsed[checkDoc](o)
	if typed.Rows != typed.Valid+typed.Invalid+typed.Skipped {
		o.t.Errorf("%d rows are not %d valid, %d invalid and %d skipped", typed.Rows, typed.Valid, typed.Invalid, typed.Skipped)
	}
	if typed.Plan.Messages != typed.Valid {
		o.t.Errorf("the plan has %d messages for %d valid rows", typed.Plan.Messages, typed.Valid)
	}
	return typed
}

func statusShape(t *testing.T, object any) {
	t.Helper()
	fields := shape(t, "status", object, statusNames)
	counts := shape(t, "counts", fields["counts"], countNames)
	sum := 0.0
	for _, n := range counts {
		sum += n.(float64)
	}
	if sum != fields["total"].(float64) {
		t.Errorf("the counts add up to %v, not to the total of %v: %v", sum, fields["total"], counts)
	}
	if fields["codes"] == nil {
		t.Error("codes is null")
	}
}

// statusOf decodes the status that a run printed.
func statusOf(o outcome) statusDoc {
	o.t.Helper()
	statusShape(o.t, parsed[any](o))
	return parsed[statusDoc](o)
}

// lines decodes JSON lines.
func lines[T any](t *testing.T, text string) []T {
	t.Helper()
	var all []T
	for line := range strings.Lines(text) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, v)
	}
	return all
}
