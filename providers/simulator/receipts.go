package simulator

import (
	"maps"
	"strings"
	"sync"
)

// Receipts is what really arrived.
type Receipts struct {
	Total      int            `json:"total"`
	Phones     map[string]int `json:"phones"`     // messages per phone, country code first, digits only
	Duplicates int            `json:"duplicates"` // messages beyond the first of each phone: Total - len(Phones)
}

// Message is one message that really arrived.
type Message struct {
	AtMS        int64    `json:"at_ms"` // milliseconds since 1970
	Provider    string   `json:"provider"`
	Mobile      string   `json:"mobile"`
	Template    string   `json:"template"`
	Variables   []string `json:"variables"` // never nil
	Media       string   `json:"media"`
	CustomField string   `json:"custom_field"`
	MessageID   string   `json:"message_id"` // also where the answer withheld it
	Charged     int64    `json:"charged"`    // in units of the balance
}

// arrival is a message on its way into the log; variables is the field as it was sent.
type arrival struct {
	atMS                                   int64
	provider, mobile, template             string
	messageID, variables, media, custField string
	charged                                int64
}

// record is an arrival as it is kept: the texts lie in one string, so that a message costs two allocations and does
// not hold on to the request it came in.
type record struct {
	atMS, charged              int64
	provider, mobile, template string
	text                       string
	idEnd, varsEnd, mediaEnd   int32
}

func newRecord(a arrival) record {
	idEnd := len(a.messageID)
	varsEnd := idEnd + len(a.variables)
	mediaEnd := varsEnd + len(a.media)
	return record{
		atMS: a.atMS, charged: a.charged, provider: a.provider, mobile: a.mobile, template: a.template,
		text:  strings.Join([]string{a.messageID, a.variables, a.media, a.custField}, ""),
		idEnd: int32(idEnd), varsEnd: int32(varsEnd), mediaEnd: int32(mediaEnd),
	}
}

func (r *record) message() Message {
	values := parseVariables(r.text[r.idEnd:r.varsEnd])
	if values == nil {
		values = []string{}
	}
	return Message{
		AtMS: r.atMS, Charged: r.charged, Provider: r.provider, Mobile: r.mobile, Template: r.template,
		MessageID: r.text[:r.idEnd], Variables: values,
		Media: r.text[r.varsEnd:r.mediaEnd], CustomField: r.text[r.mediaEnd:],
	}
}

// pageSize is how many records one page of the log holds.
const pageSize = 1024

// page is written front to back and never changed behind that, so that a reader needs the lock for the list only.
type page [pageSize]record

// receiptLog counts what arrived per phone and remembers the messages. All providers share it.
type receiptLog struct {
	keep int // as Options.KeepMessages

	mu      sync.Mutex
	phones  map[string]int
	total   int
	pages   []*page
	used    int                 // records in the last page
	met     map[string]struct{} // phones whose first POST has been refused for show
	waiting map[*waiter]struct{}
}

type waiter struct {
	total   int
	reached chan struct{}
}

func newReceiptLog(keep int) *receiptLog {
	l := &receiptLog{keep: keep, waiting: make(map[*waiter]struct{})}
	l.clear()
	return l
}

// clear empties the log; the caller holds the lock or is alone.
func (l *receiptLog) clear() {
	l.phones = make(map[string]int)
	l.met = make(map[string]struct{})
	l.total, l.pages, l.used = 0, nil, 0
}

func (l *receiptLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
}

// add counts an arrival and remembers it.
func (l *receiptLog) add(a arrival) {
	a.mobile = strings.Clone(a.mobile) // It would keep the whole request in memory otherwise.
	rec := newRecord(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phones[rec.mobile]++
	l.total++
	for w := range l.waiting {
		if l.total >= w.total {
			close(w.reached)
			delete(l.waiting, w)
		}
	}
	if l.keep < 0 {
		return
	}
	if len(l.pages) == 0 || l.used == pageSize {
		l.pages = append(l.pages, new(page))
		l.used = 0
	}
	l.pages[len(l.pages)-1][l.used] = rec
	l.used++
	if l.keep > 0 && (len(l.pages)-2)*pageSize+l.used >= l.keep {
		l.pages[0] = nil // The slice's hidden front would keep it alive.
		l.pages = l.pages[1:]
	}
}

// firstPost says whether this is the first question about the phone since the start or the last reset.
func (l *receiptLog) firstPost(mobile string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, again := l.met[mobile]; again {
		return false
	}
	l.met[strings.Clone(mobile)] = struct{}{}
	return true
}

func (l *receiptLog) receipts() Receipts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Receipts{Total: l.total, Phones: maps.Clone(l.phones), Duplicates: l.total - len(l.phones)}
}

func (l *receiptLog) count() (total, duplicates int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total, l.total - len(l.phones)
}

// each calls fn for every remembered message, oldest first, without holding up new ones, until fn says stop.
func (l *receiptLog) each(fn func(Message) bool) {
	l.mu.Lock()
	pages := append([]*page(nil), l.pages...)
	used := l.used
	l.mu.Unlock()
	for i, p := range pages {
		records := p[:]
		if i == len(pages)-1 {
			records = p[:used]
		}
		for j := range records {
			if !fn(records[j].message()) {
				return
			}
		}
	}
}

// await returns a channel that is closed once total messages have arrived, and a function that must be called when
// nobody waits for it any more.
func (l *receiptLog) await(total int) (arrived <-chan struct{}, forget func()) {
	w := &waiter{total: total, reached: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= total {
		close(w.reached)
		return w.reached, func() {}
	}
	l.waiting[w] = struct{}{}
	return w.reached, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.waiting, w)
	}
}
