package jobs

import (
	"context"
	"sync"

	"pregon/internal/ledger"
)

// pageCache keeps the pages of one campaign that hints lately asked for: hints come in the order of the file.
type pageCache struct {
	ledger   *ledger.Ledger
	campaign string

	mu    sync.Mutex
	pages map[int][]ledger.Row
	order []int
}

const cachedPages = 16

func newPageCache(l *ledger.Ledger, campaign string) *pageCache {
	return &pageCache{ledger: l, campaign: campaign, pages: make(map[int][]ledger.Row)}
}

// row returns a row by its number, nil when the file has none there.
func (p *pageCache) row(ctx context.Context, number int) (*ledger.Row, error) {
	n := ledger.PageOf(number)
	p.mu.Lock()
	rows, ok := p.pages[n]
	p.mu.Unlock()
	if !ok {
		var err error
		if rows, err = p.ledger.Page(ctx, p.campaign, n); err != nil {
			return nil, err
		}
		p.keep(n, rows)
	}
	for i := range rows {
		if rows[i].Number == number {
			return &rows[i], nil
		}
	}
	return nil, nil
}

func (p *pageCache) keep(n int, rows []ledger.Row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.pages[n]; ok {
		return
	}
	p.pages[n] = rows
	p.order = append(p.order, n)
	if len(p.order) > cachedPages {
		delete(p.pages, p.order[0])
		p.order = p.order[1:]
	}
}
