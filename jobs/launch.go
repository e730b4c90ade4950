package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"pregon/campaign"
	"pregon/internal/crash"
	"pregon/internal/ledger"
	"pregon/providers"
)

// Launch is what a person decides about a campaign, beside its file.
type Launch struct {
	Name     string
	File     string // the name people know it by
	Account  string
	Template campaign.Template
	Purpose  campaign.Purpose
	AnyHour  bool      // contact hours overridden, on the record
	Rate     float64   // messages per second under the account's; 0 = the account's
	At       time.Time // zero = at once
	Again    bool      // another campaign although this one was launched before
	By       string    // who launches
	// FileHash names the bytes of the file, and Mapping how it is read, so that the same command finds its campaign.
	FileHash string
	Mapping  string
}

// HashFile names the bytes of a file.
func HashFile(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", fmt.Errorf("hash file: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Plan is what a launch would do.
type Plan struct {
	Messages   int        `json:"messages"`
	Cost       *float64   `json:"cost"`    // null: the account has no price configured
	Balance    *float64   `json:"balance"` // null: unreachable or unreadable, never zero
	FinishesAt *time.Time `json:"finishes_at"`
}

// Affordable reports whether the balance pays for the plan, as far as both are known.
func (p Plan) Affordable() bool { return p.Cost == nil || p.Balance == nil || *p.Cost <= *p.Balance }

// Plan says what launching would do. An account that refuses its credentials is an error; one that cannot be reached
// only leaves the balance unknown.
func (a Account) Plan(ctx context.Context, launch Launch, report campaign.Report) (Plan, error) {
	plan := Plan{Messages: report.Valid}
	if a.Cost != nil {
		cost := math.Round(*a.Cost*float64(report.Valid)*1e6) / 1e6 // 0.1 three times is 0.3
		plan.Cost = &cost
	}
	b, err := a.Balance(ctx)
	switch {
	case err == nil && b.Known:
		plan.Balance = &b.Amount
	case providers.ClassOf(err) == providers.Blocked:
		return plan, err
	}
	start := time.Now()
	if launch.At.After(start) {
		start = launch.At
	}
	if report.Valid > 0 {
		end := finishTime(start, report.Valid, rateOf(a, launch.Rate), launch)
		plan.FinishesAt = &end
	}
	return plan, nil
}

func rateOf(a Account, own float64) float64 {
	if own > 0 {
		return min(own, a.Rate)
	}
	return a.Rate
}

// finishTime counts the sending time through the hours in which the home country may be contacted.
func finishTime(start time.Time, messages int, perSecond float64, launch Launch) time.Time {
	left := time.Duration(float64(messages) / perSecond * float64(time.Second))
	if launch.AnyHour {
		return start.Add(left)
	}
	schedule, now := campaign.Hours("CO", launch.Purpose), start
	for range 10_000 { // stretches of opening hours: a bound, not a limit anybody reaches
		open, change := schedule.Open(now)
		switch {
		case open && (change.IsZero() || change.Sub(now) >= left):
			return now.Add(left)
		case open:
			left -= change.Sub(now)
		}
		now = change
	}
	return now
}

// Launched is what became of a launch.
type Launched struct {
	Campaign string
	State    ledger.State
	Existing bool     // this very campaign was launched before: nothing new was started
	Same     []string // other campaigns that had the same rows
}

// ErrChanged means that the file changed between its check and its launch.
var ErrChanged = errors.New("the file changed while it was being read")

// Launch writes a checked file as a campaign and starts it. Killed at any point, the same call finishes the same
// campaign; repeated, it finds the campaign and starts nothing.
func (o *Operator) Launch(
	ctx context.Context, launch Launch, f *campaign.File, report campaign.Report,
) (Launched, error) {
	id, existing, err := o.Find(ctx, launch, report.Hash)
	if err != nil {
		return Launched{}, err
	}
	if existing {
		control, err := o.ledger.Control(ctx, id)
		return Launched{Campaign: id, State: control.State, Existing: true}, err
	}
	definition := ledger.Campaign{
		ID: id, Name: launch.Name, Account: launch.Account, Template: launch.Template.ID,
		Purpose: string(launch.Purpose), AnyHour: launch.AnyHour, Rate: launch.Rate, File: launch.File,
		Content: report.Hash, Countries: report.Countries, Rows: report.Rows, Valid: report.Valid,
		Invalid: report.Invalid, Skipped: report.Skipped, LastRow: report.LastRow, At: launch.At,
		CreatedAt: time.Now().UTC(), LaunchedBy: launch.By,
	}
	if err := o.write(ctx, definition, f); err != nil {
		return Launched{}, fmt.Errorf("launch %s: %w", id, err)
	}
	same, err := o.ledger.SameContent(ctx, report.Hash, id)
	if err != nil {
		return Launched{}, err
	}
	crash.Point("launch-commit")
	state, err := o.ledger.Commit(ctx, definition)
	if err != nil {
		return Launched{}, err
	}
	crash.Point("launched")
	same = slices.DeleteFunc(same, func(s string) bool { return s == id })
	return Launched{Campaign: id, State: state, Same: same}, nil
}

// write stores the draft and its pages. The file is read a second time, and must say the same as at its check.
func (o *Operator) write(ctx context.Context, c ledger.Campaign, f *campaign.File) error {
	w, err := o.ledger.Create(ctx, c)
	if err != nil {
		return err
	}
	again, err := campaign.Check(f, func(r *campaign.Recipient) error { return w.Write(ctx, pageRow(r)) })
	if err != nil {
		return err
	}
	if again.Hash != c.Content {
		return ErrChanged
	}
	_, _, err = w.Close(ctx)
	return err
}

func pageRow(r *campaign.Recipient) ledger.Row {
	row := ledger.Row{
		Number: r.Row, Kind: kinds[r.Status], Phone: r.Phone, Country: r.Country, Vars: r.Vars, Media: r.Media,
		Custom: r.CustomField,
	}
	for _, p := range r.Problems {
		if p.Level != campaign.Warning {
			row.Problem = &ledger.Problem{Code: p.Code, Column: p.Column, Value: p.Value, Args: p.Args}
			break
		}
	}
	return row
}

var kinds = map[campaign.Status]ledger.Kind{
	campaign.Invalid: ledger.Invalid, campaign.Valid: ledger.Valid, campaign.Skipped: ledger.Skipped,
}

// Find names the campaign that a launch of these checked rows means, and says whether it was launched before.
// Without Again it is always the same one; with Again it is the first that was not launched yet, so that a launch
// killed half-way is finished and not doubled. A draft whose rows were read otherwise, by an older version of this
// program, is left behind: it never sent anything and never will.
func (o *Operator) Find(ctx context.Context, launch Launch, content string) (id string, existing bool, err error) {
	sum := sha256.Sum256([]byte(strings.Join(
		[]string{launch.Account, launch.Template.ID, launch.Mapping, launch.FileHash}, "\x00")))
	base := slug(launch.Name) + "-" + hex.EncodeToString(sum[:4])
	for n := 1; ; n++ {
		id = base
		if n > 1 {
			id = fmt.Sprintf("%s-%d", base, n)
		}
		control, err := o.ledger.Control(ctx, id)
		if err != nil {
			return "", false, err
		}
		if control.State != ledger.Draft {
			if launch.Again {
				continue
			}
			return id, true, nil
		}
		draft, err := o.ledger.Campaign(ctx, id)
		switch {
		case errors.Is(err, ledger.ErrNoCampaign) || (err == nil && draft.Content == content):
			return id, false, nil
		case err != nil:
			return "", false, err
		}
	}
}

// slug makes a name fit for ids, keys and file names: lower-case letters, digits and single dashes.
func slug(name string) string {
	const limit = 32
	var b strings.Builder
	for _, r := range norm.NFD.String(strings.ToLower(name)) {
		switch {
		case r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r): // an accent
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := b.String()
	s = strings.Trim(s[:min(len(s), limit)], "-")
	if s == "" {
		return "campaign"
	}
	return s
}
