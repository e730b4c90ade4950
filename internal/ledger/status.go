package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Counts says how many rows are in each state. Every state has an entry, and they add up to the rows of the file.
type Counts map[RowState]int

// Open is how many rows may still be sent.
func (c Counts) Open() int { return c[Queued] + c[Sending] + c[Waiting] }

// Total adds all states up.
func (c Counts) Total() int {
	total := 0
	for _, n := range c {
		total += n
	}
	return total
}

// Status is a campaign at one moment.
type Status struct {
	Campaign Campaign
	Control  Control
	Counts   Counts
	Codes    map[string]int // rows that now bear a code, by code
}

// Status reads a campaign in one round trip, whatever its size. A draft counts its valid rows as queued: they are
// what the same command will launch.
func (l *Ledger) Status(ctx context.Context, campaign string) (Status, error) {
	c, err := l.Campaign(ctx, campaign)
	if err != nil {
		return Status{}, err
	}
	// One transaction: counts and codes of the same instant, so that they add up.
	pipe := l.rdb.TxPipeline()
	control := pipe.HGetAll(ctx, campaignKey(campaign, "control"))
	counts := pipe.HGetAll(ctx, campaignKey(campaign, "counts"))
	codes := pipe.HGetAll(ctx, campaignKey(campaign, "codes"))
	if _, err := pipe.Exec(ctx); err != nil {
		return Status{}, fmt.Errorf("read status of campaign %s: %w", campaign, err)
	}
	s := Status{Campaign: *c, Control: parseControl(control.Val()), Counts: make(Counts), Codes: make(map[string]int)}
	for _, state := range RowStates {
		s.Counts[state] = 0
	}
	for name, text := range counts.Val() {
		n, err := strconv.Atoi(text)
		if err != nil {
			return Status{}, fmt.Errorf("count %q of campaign %s: %w", name, campaign, ErrCorrupt)
		}
		s.Counts[RowState(name)] = n
	}
	if s.Control.State == Draft {
		s.Counts[Queued] += c.Valid // rows of a launch that Redis forgot may have results already
		s.Counts[InvalidRow], s.Counts[SkippedRow] = c.Invalid, c.Skipped
	}
	for code, text := range codes.Val() {
		n, err := strconv.Atoi(text)
		if err != nil {
			return Status{}, fmt.Errorf("code count of campaign %s: %w", campaign, ErrCorrupt)
		}
		s.Codes[code] = n
	}
	return s, nil
}

// Sound reports whether the states add up to the file, none below zero. They always do, unless Redis itself lost half
// of what a script wrote.
func (s Status) Sound() bool {
	for _, n := range s.Counts {
		if n < 0 {
			return false
		}
	}
	return s.Counts.Total() == s.Campaign.Rows
}

// Recount makes counts, codes and queues agree with the records again: once in each run of Redis, or always with force.
func (l *Ledger) Recount(ctx context.Context, campaign string, force bool) error {
	c, err := l.Campaign(ctx, campaign)
	if err != nil {
		return err
	}
	always := 0
	if force {
		always = 1
	}
	err = recountScript.Run(ctx, l.rdb, rowKeys(campaign, 0), c.Valid, PageOf(c.LastRow), always).Err()
	if err != nil {
		return fmt.Errorf("recount campaign %s: %w", campaign, err)
	}
	return nil
}

// Entry is one row of a campaign: what it was to be and what became of it.
type Entry struct {
	Row
	Record
}

// merge gives the one state of a row from its page and its record.
func merge(row Row, rec Record, cancelled bool) Entry {
	switch row.Kind {
	case Valid:
		if rec.State == "" {
			rec.State = Queued
		}
	case Skipped:
		rec.State = SkippedRow
	default:
		rec.State = InvalidRow
	}
	if cancelled && (rec.State == Queued || rec.State == Waiting) {
		rec.State = CancelledRow
	}
	return Entry{Row: row, Record: rec}
}

// Entries reads the rows of one page with their records. A page without rows is nil.
func (l *Ledger) Entries(ctx context.Context, campaign string, page int) ([]Entry, error) {
	control, err := l.Control(ctx, campaign)
	if err != nil {
		return nil, err
	}
	return l.entries(ctx, campaign, page, view{cancelled: control.State == Cancelled})
}

// view is how rows are read.
type view struct {
	cancelled bool
	reasons   map[string]string // the words of attempts, by key; nil leaves all that is past out
}

func (l *Ledger) view(ctx context.Context, campaign string) (view, error) {
	control, err := l.Control(ctx, campaign)
	if err != nil {
		return view{}, err
	}
	reasons, err := l.rdb.HGetAll(ctx, campaignKey(campaign, "reasons")).Result()
	if err != nil {
		return view{}, fmt.Errorf("read reasons of campaign %s: %w", campaign, err)
	}
	return view{cancelled: control.State == Cancelled, reasons: reasons}, nil
}

func (l *Ledger) entries(ctx context.Context, campaign string, page int, v view) ([]Entry, error) {
	pipe := l.rdb.Pipeline()
	sealed := pipe.Get(ctx, pageKey(campaign, page))
	texts := pipe.HGetAll(ctx, campaignKey(campaign, "rows:"+strconv.Itoa(page)))
	past := new(redis.MapStringStringCmd)
	if v.reasons != nil {
		past = pipe.HGetAll(ctx, campaignKey(campaign, "past:"+strconv.Itoa(page)))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read page %d of campaign %s: %w", page, campaign, err)
	}
	if errors.Is(sealed.Err(), redis.Nil) {
		return nil, nil
	}
	rows, err := l.open(ctx, campaign, page, []byte(sealed.Val()))
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(rows))
	for _, row := range rows {
		var rec Record
		number := strconv.Itoa(row.Number)
		if text, ok := texts.Val()[number]; ok {
			if rec, err = parseRecord(text, v.reasons); err != nil {
				return nil, fmt.Errorf("row %d of campaign %s: %w", row.Number, campaign, err)
			}
			rec.Past = parsePast(past.Val()[number], v.reasons)
		}
		entries = append(entries, merge(row, rec, v.cancelled))
	}
	return entries, nil
}

// Entry reads one row of a campaign; false when the file has none of that number.
func (l *Ledger) Entry(ctx context.Context, campaign string, row int) (Entry, bool, error) {
	v, err := l.view(ctx, campaign)
	if err != nil {
		return Entry{}, false, err
	}
	entries, err := l.entries(ctx, campaign, PageOf(row), v)
	for _, e := range entries {
		if e.Number == row {
			return e, true, nil
		}
	}
	return Entry{}, false, err
}

// Rows walks all rows of a campaign in the order of the file, a page at a time, in constant memory. It ends with
// ErrCorrupt when fewer rows are stored than the campaign has.
func (l *Ledger) Rows(ctx context.Context, campaign string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		c, err := l.Campaign(ctx, campaign)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		v, err := l.view(ctx, campaign)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		seen := 0
		for page := 0; page <= PageOf(c.LastRow); page++ {
			entries, err := l.entries(ctx, campaign, page, v)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range entries {
				if !yield(e, nil) {
					return
				}
				seen++
			}
		}
		if seen != c.Rows {
			yield(Entry{}, fmt.Errorf("campaign %s has %d of its %d rows: %w", campaign, seen, c.Rows, ErrCorrupt))
		}
	}
}
