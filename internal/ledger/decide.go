package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Decision is what a person decides about a row.
type Decision string

// The decisions.
const (
	CountAsSent Decision = "sent"   // an in-doubt row counts as sent
	SendAgain   Decision = "resend" // an in-doubt row is sent again, at the risk of a second message
	TryAgain    Decision = "retry"  // a failed row is tried again
)

// Errors of a decision.
var (
	// ErrMoved means that the row is no longer as the person saw it.
	ErrMoved = errors.New("the row has changed meanwhile")
	// ErrRetried means that the row was retried by a person before.
	ErrRetried = errors.New("the row was retried before")
	// ErrCancelled means that the campaign is cancelled: nothing of it is sent any more.
	ErrCancelled = errors.New("the campaign is cancelled")
)

// Decide records a person's decision about the attempt of a row that they saw, and by whom. What is to be sent again is
// open afterwards, and a finished campaign runs again; NewGeneration brings its hints at once.
func (l *Ledger) Decide(
	ctx context.Context, campaign string, row, fence int, d Decision, who string, again bool,
) error {
	keys := append(rowKeys(campaign, row), campaignKey(campaign, "audit"), campaignKey(campaign, "retried"))
	anew := "0"
	if again {
		anew = "1"
	}
	decide := func() error {
		a, err := words(decideScript.Run(ctx, l.rdb, keys, row, fence, string(d), cleanWho(who), anew).Result())
		if err != nil {
			return fmt.Errorf("decide about row %d of campaign %s: %w", row, campaign, err)
		}
		switch a.text(0) {
		case "DONE":
			return nil
		case "NOT":
			err = ErrMoved
		case "BEFORE":
			err = ErrRetried
		case "CANCELLED":
			err = ErrCancelled
		default:
			err = ErrCorrupt
		}
		return fmt.Errorf("decide about row %d of campaign %s: %w", row, campaign, err)
	}
	if d == CountAsSent {
		return decide()
	}
	return l.awake(ctx, campaign, decide)
}

// Decided is one decision of the past.
type Decided struct {
	At       time.Time
	Decision Decision
	Row      int
	Fence    int    // the attempt it was about
	Code     string // what the row bore before
	Who      string
}

// Decisions are all decisions about rows of a campaign, oldest first.
func (l *Ledger) Decisions(ctx context.Context, campaign string) ([]Decided, error) {
	lines, err := l.rdb.LRange(ctx, campaignKey(campaign, "audit"), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("read decisions of campaign %s: %w", campaign, err)
	}
	all := make([]Decided, 0, len(lines))
	for _, line := range lines {
		f := strings.SplitN(line, " ", 6)
		if len(f) != 6 {
			return nil, fmt.Errorf("decision of campaign %s has %d fields: %w", campaign, len(f), ErrCorrupt)
		}
		row, err1 := strconv.Atoi(f[2])
		fence, err2 := strconv.Atoi(f[3])
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("decision of campaign %s does not parse: %w", campaign, ErrCorrupt)
		}
		all = append(all, Decided{
			At: seconds(f[0]), Decision: Decision(f[1]), Row: row, Fence: fence, Code: f[4], Who: f[5],
		})
	}
	return all, nil
}

// InDoubt lists the in-doubt rows of a campaign in the order of the file.
func (l *Ledger) InDoubt(ctx context.Context, campaign string) ([]int, error) {
	members, err := l.rdb.ZRange(ctx, campaignKey(campaign, "in_doubt"), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("list in-doubt rows of campaign %s: %w", campaign, err)
	}
	rows := make([]int, 0, len(members))
	for _, m := range members {
		row, err := strconv.Atoi(m)
		if err != nil {
			return nil, fmt.Errorf("list in-doubt rows of campaign %s: %w", campaign, ErrCorrupt)
		}
		rows = append(rows, row)
	}
	slices.Sort(rows)
	return rows, nil
}

// cleanWho makes a person's name fit for a line of the audit.
func cleanWho(who string) string {
	if who = cleanWords(who); who == "" {
		return "?"
	}
	return who
}
