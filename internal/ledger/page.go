package ledger

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/redis/go-redis/v9"

	"pregon/internal/crash"
)

// PageRows is how many row numbers one page spans.
const PageRows = 256

// PageOf names the page of a row. Pages go by row number, so that a hint's row finds its page and its record
// without an index; a sparse file makes sparse pages.
func PageOf(row int) int { return row / PageRows }

// Kind is what the check of the file decided about a row.
type Kind uint8

// The zero value is the careful one: a row of unknown kind is not sent.
const (
	Invalid Kind = iota // refused; Problem says why
	Valid               // to be sent
	Skipped             // left out on purpose; Problem says why
)

// Row is what a page keeps of one row of the file: what to send, or why not. It never changes after the launch.
type Row struct {
	Number  int      `json:"n"` // as people see it in their file
	Kind    Kind     `json:"s"`
	Phone   string   `json:"p,omitempty"` // digits, country code first
	Country string   `json:"c,omitempty"` // ISO region of the number
	Vars    []string `json:"v,omitempty"`
	Media   string   `json:"m,omitempty"`
	Custom  string   `json:"x,omitempty"` // the user's own reference
	Problem *Problem `json:"w,omitempty"`
}

// Problem is why a row is invalid or skipped, in the words of the check.
type Problem struct {
	Code   string            `json:"c"`
	Column string            `json:"l,omitempty"`
	Value  string            `json:"v,omitempty"`
	Args   map[string]string `json:"a,omitempty"`
}

// pageVersion is the first byte of every sealed page.
const pageVersion = 1

// maxPage bounds what a page may grow to when it is read: 256 rows of a spreadsheet's widest usual cells.
const maxPage = 64 << 20

var deflaters = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(io.Discard, flate.BestSpeed) // the level is valid
	return w
}}

func sealPage(box cipher.AEAD, campaign string, page int, rows []Row) ([]byte, error) {
	text, err := json.Marshal(rows)
	if err != nil {
		return nil, fmt.Errorf("encode page %d: %w", page, err)
	}
	var packed bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&packed)
	if _, err := w.Write(text); err != nil {
		return nil, fmt.Errorf("compress page %d: %w", page, err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress page %d: %w", page, err)
	}
	return box.Seal([]byte{pageVersion}, nil, packed.Bytes(), pageName(campaign, page)), nil
}

func openPage(box cipher.AEAD, campaign string, page int, sealed []byte) ([]Row, error) {
	if len(sealed) < 1 || sealed[0] != pageVersion {
		return nil, fmt.Errorf("page %d of campaign %s has an unknown version: %w", page, campaign, ErrCorrupt)
	}
	packed, err := box.Open(nil, nil, sealed[1:], pageName(campaign, page))
	if err != nil {
		return nil, fmt.Errorf("open page %d of campaign %s: %w", page, campaign, ErrCorrupt)
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxPage))
	if err != nil {
		return nil, fmt.Errorf("expand page %d of campaign %s: %w", page, campaign, ErrCorrupt)
	}
	var rows []Row
	if err := json.Unmarshal(text, &rows); err != nil {
		return nil, fmt.Errorf("decode page %d of campaign %s: %w", page, campaign, ErrCorrupt)
	}
	return rows, nil
}

// Writer writes the pages of one campaign. Rows come in ascending order; a page is stored as soon as the next
// begins, a few pages to one round trip. Pages are written once: writing the same rows again changes nothing, so
// that a launch killed anywhere can be repeated.
type Writer struct {
	ledger   *Ledger
	campaign string
	box      cipher.AEAD
	page     int
	rows     []Row
	pipe     redis.Pipeliner
	pages    int
	last     int
}

// pagesPerTrip bounds what a launch holds in memory, and is enough to hide the round trip.
const pagesPerTrip = 16

// Write takes the next row.
func (w *Writer) Write(ctx context.Context, row Row) error {
	if row.Number <= w.last {
		return fmt.Errorf("row %d comes after row %d", row.Number, w.last)
	}
	if page := PageOf(row.Number); page != w.page {
		if err := w.seal(ctx); err != nil {
			return err
		}
		w.page = page
	}
	w.last = row.Number
	w.rows = append(w.rows, row)
	return nil
}

func (w *Writer) seal(ctx context.Context) error {
	if len(w.rows) == 0 {
		return nil
	}
	sealed, err := sealPage(w.box, w.campaign, w.page, w.rows)
	if err != nil {
		return err
	}
	w.pipe.SetNX(ctx, pageKey(w.campaign, w.page), sealed, 0)
	w.rows = w.rows[:0]
	w.pages++
	if w.pipe.Len() < pagesPerTrip {
		return nil
	}
	return w.flush(ctx)
}

func (w *Writer) flush(ctx context.Context) error {
	if w.pipe.Len() == 0 {
		return nil
	}
	crash.Point("launch-pages")
	if _, err := w.pipe.Exec(ctx); err != nil {
		return fmt.Errorf("store pages of campaign %s: %w", w.campaign, err)
	}
	crash.Point("launch-stored")
	return nil
}

// Close stores what is left and returns how many pages the campaign has and its last row.
func (w *Writer) Close(ctx context.Context) (pages, last int, err error) {
	if err := w.seal(ctx); err != nil {
		return 0, 0, err
	}
	return w.pages, w.last, w.flush(ctx)
}

// Page reads the rows of one page. A page without rows is nil.
func (l *Ledger) Page(ctx context.Context, campaign string, page int) ([]Row, error) {
	sealed, err := l.rdb.Get(ctx, pageKey(campaign, page)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read page %d of campaign %s: %w", page, campaign, err)
	}
	return l.open(ctx, campaign, page, sealed)
}

// open opens a page with the key that this process knows, or, if that does not fit, with the one that Redis has now.
func (l *Ledger) open(ctx context.Context, campaign string, page int, sealed []byte) ([]Row, error) {
	for again := false; ; again = true {
		box, err := l.keys.box(ctx, l.rdb, campaign)
		if err != nil {
			return nil, err
		}
		rows, err := openPage(box, campaign, page, sealed)
		if err == nil || again {
			return rows, err
		}
		l.keys.drop(campaign)
	}
}
