package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"pregon/providers/simulator"
)

// front stands before the simulated provider and spoils some of its answers. The simulator behind it counts what
// really arrived; the front counts what its faults may have left unclear.
type front struct {
	sim   *simulator.Server
	seed  uint64
	diary *diary
	addr  string

	mu       sync.Mutex
	server   *http.Server
	shares   []share
	outage   bool // accept and never answer
	goodbye  bool // close each connection after its answer
	sends    uint64
	counts   [numberOfFaults]int
	posts    []time.Duration // when each send came
	balances int
	held     map[net.Conn]struct{} // connections that wait for ever
}

func newFront(sim *simulator.Server, seed uint64, d *diary) (*front, error) {
	f := &front{sim: sim, seed: seed, diary: d, addr: "127.0.0.1:0", held: make(map[net.Conn]struct{})}
	return f, f.open()
}

func (f *front) url() string { return "http://" + f.addr }

// open listens, on the same port as before if there was one.
func (f *front) open() error {
	listener, err := net.Listen("tcp", f.addr)
	if err != nil {
		return err
	}
	// Longer than the workers keep idle connections: only the faults that are drawn break one.
	server := &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	f.mu.Lock()
	f.addr, f.server = listener.Addr().String(), server
	f.mu.Unlock()
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			f.diary.note("provider ended", "err", err)
		}
	}()
	return nil
}

// refuse stops listening, so that connections are refused, and lets what is under way be answered.
func (f *front) refuse(ctx context.Context) error {
	f.diary.note("provider refuses connections")
	f.mu.Lock()
	server := f.server
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}

// parting makes the front close each connection after its answer, as a server may, and say so in the answer: when it
// stops listening, no connection is left on which a request could cross the closing.
func (f *front) parting() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.goodbye = true
}

func (f *front) close() {
	f.mu.Lock()
	server := f.server
	f.mu.Unlock()
	_ = server.Close()
	f.sim.Close()
	f.release()
}

// spoil sets the shares of sends that go wrong; nil for none.
func (f *front) spoil(shares []share) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shares = shares
}

// freeze begins or ends an outage in which everything is accepted and nothing answered.
func (f *front) freeze(on bool) {
	f.diary.note("provider frozen", "on", on)
	f.mu.Lock()
	f.outage = on
	f.mu.Unlock()
	if !on {
		f.release()
	}
}

// release closes the connections that were left hanging. Whoever still waits for them learns nothing.
func (f *front) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.held {
		_ = c.Close()
	}
	clear(f.held)
}

// ServeHTTP decides what becomes of one request.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.parts() {
		w.Header().Set("Connection", "close")
	}
	if r.URL.Path != simulator.SendPath {
		f.serveRest(w, r)
		return
	}
	fault, processed := f.next()
	if fault == none {
		f.sim.ServeHTTP(w, r)
		return
	}
	if processed {
		f.sim.ServeHTTP(&unheard{header: make(http.Header)}, r)
	}
	f.answer(fault, w)
}

func (f *front) parts() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.goodbye
}

// serveRest answers calls that send nothing. Single faults spare them; an outage does not.
func (f *front) serveRest(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	outage := f.outage
	f.balances++
	f.mu.Unlock()
	if outage {
		f.hold(w)
		return
	}
	f.sim.ServeHTTP(w, r)
}

// next numbers a send and draws its fault.
func (f *front) next() (_ fault, processed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sends++
	f.posts = append(f.posts, f.diary.now())
	drawn := draw(f.seed, f.sends, f.shares)
	switch {
	case f.outage:
		drawn = frozen
		processed = drawHalf(f.seed, f.sends)
	case drawn == resetAfter, drawn == closeAfter, drawn == hangAfter, drawn == errorAfter, drawn == badGateway,
		drawn == brokenJSON, drawn == pageInstead, drawn == hugeAnswer:
		processed = true
	}
	f.counts[drawn]++
	return drawn, processed
}

// answer carries a fault out, after the message was processed or not.
func (f *front) answer(kind fault, w http.ResponseWriter) {
	const html = "text/html; charset=UTF-8"
	page := func(status int) {
		say(w, status, html, "<html><body><h1>"+strconv.Itoa(status)+" "+http.StatusText(status)+"</h1></body></html>\n")
	}
	switch kind {
	case resetUnread, resetAfter:
		hangUp(w, true)
	case closeAfter:
		hangUp(w, false)
	case hangBefore, hangAfter, frozen:
		f.hold(w)
	case errorBefore, errorAfter:
		say(w, http.StatusInternalServerError, html, "")
	case badGateway:
		page(http.StatusBadGateway)
	case unavailable:
		page(http.StatusServiceUnavailable)
	case tooMany:
		w.Header().Set("Retry-After", "1")
		page(http.StatusTooManyRequests)
	case brokenJSON:
		say(w, http.StatusOK, "application/json", `{"code":1,"status":"mensaje envi`)
	case pageInstead:
		page(http.StatusOK)
	case hugeAnswer:
		say(w, http.StatusOK, "application/json", `{"code":1,"status":"`+string(bytes.Repeat([]byte("x"), 3<<20)))
	case refused:
		say(w, http.StatusOK, "application/json", `{"code":4,"status":"error in the cell phone number to send"}`)
	}
}

func say(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a client that has gone has its own view of this
}

// hangUp ends a connection without an answer.
func hangUp(w http.ResponseWriter, rst bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if rst {
		reset(conn)
		return
	}
	_ = conn.Close()
}

// hold keeps a connection without ever answering, until its client goes or everything is released.
func (f *front) hold(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = conn.SetDeadline(time.Time{})
	f.mu.Lock()
	f.held[conn] = struct{}{}
	f.mu.Unlock()
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
		f.mu.Lock()
		delete(f.held, conn)
		f.mu.Unlock()
	}()
}

// frontCounts is what a front has seen so far.
type frontCounts struct {
	Sends     int            `json:"sends"`
	Faults    map[string]int `json:"faults"`
	Total     int            `json:"total_faults"`
	Ambiguous int            `json:"ambiguous"`
	posts     []time.Duration
}

func (f *front) tally() frontCounts {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := frontCounts{Sends: int(f.sends), Faults: make(map[string]int), posts: append([]time.Duration(nil), f.posts...)}
	for kind, n := range f.counts {
		if n == 0 || fault(kind) == none {
			continue
		}
		c.Faults[fault(kind).String()] = n
		c.Total += n
		if fault(kind).ambiguous() {
			c.Ambiguous += n
		}
	}
	return c
}

// unheard takes an answer that nobody will hear.
type unheard struct{ header http.Header }

func (u *unheard) Header() http.Header         { return u.header }
func (u *unheard) Write(b []byte) (int, error) { return len(b), nil }
func (u *unheard) WriteHeader(int)             {}
