package simulator

import (
	"net"
	"net/http"
	"strconv"
	"time"
)

// ending says how an exchange ends once the provider has done its work.
type ending uint8

const (
	answered ending = iota
	closed          // the connection is closed (FIN) without a byte: the client sees EOF
	aborted         // the connection is reset (RST): the client sees "connection reset by peer"
	hung            // silence until the client gives up
)

// answer is what a provider says to one request, and how.
type answer struct {
	end         ending
	status      int // 0 means 200
	contentType string
	retryAfter  int // seconds; 0 means no header
	body        []byte
}

const htmlType = "text/html; charset=UTF-8"

// htmlPage is an answer of the gateway in front of the provider.
func htmlPage(status int) answer {
	title := strconv.Itoa(status) + " " + http.StatusText(status)
	return answer{status: status, contentType: htmlType, body: []byte("<!DOCTYPE HTML>\n<html><head><title>" + title +
		"</title></head>\n<body><h1>" + title + "</h1><hr><address>Apache Server</address></body></html>\n")}
}

// tryAgain refuses for one second, before any work is done.
func tryAgain(status int) answer {
	a := htmlPage(status)
	a.retryAfter = 1
	return a
}

// deliver waits for the configured latency and ends the exchange.
func (s *Server) deliver(w http.ResponseWriter, r *http.Request, a answer) {
	if a.end == hung {
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
		drop(w, closed)
		return
	}
	if !s.linger(r) {
		return // Nobody is left to read the answer.
	}
	if a.end != answered {
		drop(w, a.end)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	if a.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(a.retryAfter))
	}
	w.WriteHeader(max(a.status, http.StatusOK))
	_, _ = w.Write(a.body) // A client that is gone already has its own view of this message.
}

// linger waits for Latency plus a random part of Jitter and says whether the client is still there. A closing
// simulator answers at once.
func (s *Server) linger(r *http.Request) bool {
	wait := s.opts.Latency
	if s.opts.Jitter > 0 {
		part := float64(mix(s.opts.Faults.Seed^s.answers.Add(1))>>11) / (1 << 53)
		wait += time.Duration(part * float64(s.opts.Jitter))
	}
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.done:
		return true
	case <-r.Context().Done():
		return false
	}
}

// drop takes the connection out of the server's hands and ends it without a byte. Where that is impossible, as in
// HTTP/2 or with a response recorder, net/http's own way of aborting a request has to do.
func drop(w http.ResponseWriter, how ending) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = wrapped.NetConn() // TLS would say goodbye politely first.
	}
	if lingerer, ok := conn.(interface{ SetLinger(int) error }); ok && how == aborted {
		_ = lingerer.SetLinger(0) // Fails only on a connection that has gone, which is what is wanted.
	}
	_ = conn.Close()
}
