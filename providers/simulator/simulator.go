package simulator

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
)

// Server is the simulated providers behind one http.Handler. It is safe for concurrent use, starts no goroutine and
// writes no log.
type Server struct {
	opts     Options
	mux      *http.ServeMux
	receipts *receiptLog
	traffic  traffic
	faults   faultSource
	answers  atomic.Uint64            // numbers the draws of Jitter
	requests map[string]*atomic.Int64 // per provider path; the map itself never changes after New
	contacto *contactoVirtual

	closing sync.Once
	done    chan struct{}
}

// New returns a simulator. Options that [Options.Validate] refuses are a programmer's mistake: New panics.
func New(o Options) *Server {
	if err := o.Validate(); err != nil {
		panic(fmt.Sprintf("simulator: %v", err))
	}
	s := &Server{
		opts:     o.withDefaults(),
		mux:      http.NewServeMux(),
		receipts: newReceiptLog(o.KeepMessages),
		requests: make(map[string]*atomic.Int64),
		done:     make(chan struct{}),
	}
	s.faults.set(o.Faults)
	s.contacto = newContactoVirtual(s)
	s.control()
	return s
}

// ServeHTTP answers the providers' paths and the control paths; anything else is 404.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close lets go of everything that waits: hung requests are dropped, delayed answers are given at once. The simulator
// goes on answering, without latency. Call it before shutting down the http.Server in front of it.
func (s *Server) Close() { s.closing.Do(func() { close(s.done) }) }

// endpoint registers a provider's path, which ends in "/" as in the document, and counts its requests.
func (s *Server) endpoint(path string, serve http.HandlerFunc) {
	count := new(atomic.Int64)
	s.requests[path] = count
	s.mux.HandleFunc(path+"{$}", func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			s.deliver(w, r, htmlPage(http.StatusMethodNotAllowed))
			return
		}
		serve(w, r)
	})
	// Apache's answer for a folder without its slash. A client that follows it sends an empty GET.
	bare := path[:len(path)-1]
	s.mux.HandleFunc(bare, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, path, http.StatusMovedPermanently)
	})
}

// Receipts returns what has arrived so far; the map is a copy.
func (s *Server) Receipts() Receipts { return s.receipts.receipts() }

// Total returns how many messages have arrived and how many of them were not the first for their phone. It costs the
// same however many phones there are.
func (s *Server) Total() (arrived, duplicates int) { return s.receipts.count() }

// Wait returns nil as soon as total messages have arrived, or the context's error if that comes first.
func (s *Server) Wait(ctx context.Context, total int) error {
	arrived, forget := s.receipts.await(total)
	defer forget()
	select {
	case <-arrived:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-arrived: // What has happened counts, even where the context ended too.
		return nil
	default:
		return ctx.Err()
	}
}

// Messages returns the remembered messages (see [Options].KeepMessages), oldest first.
func (s *Server) Messages() []Message {
	var all []Message
	s.receipts.each(func(m Message) bool {
		all = append(all, m)
		return true
	})
	return all
}

// Rate returns how densely sends have come so far.
func (s *Server) Rate() Rate { return s.traffic.snapshot() }

// Requests returns how many requests each provider path has had, whatever became of them.
func (s *Server) Requests() map[string]int64 {
	counts := make(map[string]int64, len(s.requests))
	for path, n := range s.requests {
		counts[path] = n.Load()
	}
	return counts
}

// Account returns the balance of the contacto-virtual account and what led to it.
func (s *Server) Account() Account { return s.contacto.account.snapshot() }

// SetBalance sets the balance of the contacto-virtual account, as a top-up would; below 0 it becomes 0.
func (s *Server) SetBalance(balance int64) { s.contacto.account.set(balance) }

// Faults returns the fault shares in force.
func (s *Server) Faults() Faults { return *s.faults.shares.Load() }

// SetFaults replaces the fault shares and begins their sequence of draws anew. It changes nothing if it returns an
// error.
func (s *Server) SetFaults(f Faults) error {
	if err := f.Validate(); err != nil {
		return err
	}
	s.faults.set(f)
	return nil
}

// Reset goes back to the state in which New left the simulator: nothing arrived, nothing counted, the balance and the
// faults of the Options. Requests that are under way may still be counted after it.
func (s *Server) Reset() {
	s.receipts.reset()
	s.traffic.reset()
	s.faults.set(s.opts.Faults)
	s.answers.Store(0)
	s.contacto.account.reset(s.opts.Balance)
	for _, n := range s.requests {
		n.Store(0)
	}
}
