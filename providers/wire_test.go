package providers_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pregon/providers"
)

// wire is a server that speaks raw TCP or TLS by a script, and counts the requests that it had whole.
type wire struct {
	root   string
	whole  atomic.Int32
	giveUp func() // ends the client's context
	stop   func() // waits until every connection has ended
}

// peer is the server's end of one connection.
type peer struct {
	net.Conn
	tcp  *net.TCPConn
	in   *bufio.Reader
	wire *wire
}

// head takes a request's headers.
func (p *peer) head() *http.Request {
	r, err := http.ReadRequest(p.in)
	if err != nil {
		return &http.Request{Body: http.NoBody, ContentLength: -1}
	}
	return r
}

// body takes the rest of a request.
func (p *peer) body(r *http.Request) {
	if n, err := io.Copy(io.Discard, r.Body); err == nil && n == r.ContentLength {
		p.wire.whole.Add(1)
	}
}

// take takes a whole request.
func (p *peer) take()            { p.body(p.head()) }
func (p *peer) say(text string)  { io.WriteString(p, text) }
func (p *peer) untilClientGoes() { _, _ = io.Copy(io.Discard, p.in) }

// agree takes a whole request, and lets its body come.
func (p *peer) agree() {
	r := p.head()
	p.say("HTTP/1.1 100 Continue\r\n\r\n")
	p.body(r)
}

// reset makes the end of the connection a RST instead of a FIN.
func (p *peer) reset() { p.tcp.SetLinger(0) }

// says takes a whole request and answers it with these bytes, followed by FIN.
func says(answer string) func(*peer) {
	return func(p *peer) { p.take(); p.say(answer) }
}

// answers is a complete answer.
func answers(status int, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

// startWire runs the script for every connection; if warm, the first one answers one request properly before.
func startWire(t *testing.T, config *tls.Config, warm bool, script func(*peer)) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{root: "http://" + l.Addr().String(), giveUp: func() {}}
	if config != nil {
		w.root = "https://" + l.Addr().String()
	}
	var ends sync.WaitGroup
	serve := func(conn net.Conn, warm bool) {
		defer conn.Close()
		p := &peer{Conn: conn, tcp: conn.(*net.TCPConn), wire: w}
		if config != nil {
			p.Conn = tls.Server(conn, config)
		}
		p.in = bufio.NewReader(p.Conn)
		if warm {
			p.take()
			p.say(answers(200, "{}"))
			if _, err := p.in.Peek(1); err != nil { // Whatever comes next is the next request.
				return
			}
			w.whole.Store(0)
		}
		script(p)
	}
	ends.Go(func() {
		for ; ; warm = false {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			first := warm
			ends.Go(func() { serve(conn, first) })
		}
	})
	w.stop = func() { l.Close(); ends.Wait() }
	return w
}

// passing is a context whose deadline passes when it is told to.
type passing struct {
	context.Context
	over chan struct{}
}

func (p passing) Done() <-chan struct{} { return p.over }
func (p passing) Err() error {
	select {
	case <-p.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// TestFactsOfTheWire is research/reliability.md, sections 4.1 and 4.3: how a request can end, what the server then has
// of it, and what that means. The rows of 4.1 without a connection are in TestPostFailuresBeforeTheBody, those that can
// end in two ways in TestRacesOfTheWire.
func TestFactsOfTheWire(t *testing.T) {
	const (
		ok       = "HTTP/1.1 200 OK\r\n"
		of99     = "Content-Length: 99\r\n\r\n"
		accepted = `{"code":1,"messageId":"m"}`
	)
	expect := http.Header{"Expect": {"100-continue"}}
	keyed := http.Header{"Idempotency-Key": {"1"}, "X-Idempotency-Key": {"1"}}
	tests := map[string]struct {
		script func(*peer)
		kinds  string // besides plain and fresh: "tls", "reused"
		header http.Header
		limits func(*http.Transport)
		class  providers.Class
		code   string
		whole  int32 // requests that the server had whole
	}{
		// Broken before an answer.
		"HeadReadThenRST": {script: func(p *peer) { p.head(); p.reset() }, kinds: "tls reused",
			code: providers.CodeReset},
		"HeadReadThenFIN": {script: func(p *peer) { p.head() }, kinds: "tls reused", code: providers.CodeReset},
		"FullReadThenFIN": {script: (*peer).take, kinds: "tls reused", code: providers.CodeReset, whole: 1},
		"FullReadThenRST": {script: func(p *peer) { p.take(); p.reset() }, kinds: "tls reused",
			code: providers.CodeReset, whole: 1},
		"FullReadThenFINWithKeys": {script: (*peer).take, kinds: "reused", header: keyed,
			code: providers.CodeReset, whole: 1},
		"FullReadThenRSTWithKeys": {script: func(p *peer) { p.take(); p.reset() }, kinds: "reused", header: keyed,
			code: providers.CodeReset, whole: 1},
		"HangUntilHeaderTimeout": {script: func(p *peer) { p.take(); p.untilClientGoes() }, kinds: "tls reused",
			limits: func(t *http.Transport) { t.ResponseHeaderTimeout = 50 * time.Millisecond },
			code:   providers.CodeTimeout, whole: 1},
		"HangUntilDeadline": {script: func(p *peer) { p.take(); p.wire.giveUp(); p.untilClientGoes() }, kinds: "tls reused",
			code: providers.CodeTimeout, whole: 1},

		// Broken in the answer.
		"Garbage":           {script: says("what is this\r\n\r\n"), kinds: "tls", code: providers.CodeMalformed, whole: 1},
		"BrokenStatusLine":  {script: says("HTTP/1.1 abc OK\r\n\r\n"), code: providers.CodeMalformed, whole: 1},
		"HalfAStatusLine":   {script: says("HTTP/1.1 20"), code: providers.CodeMalformed, whole: 1},
		"BrokenHeader":      {script: says(ok + "Content-Length: x\r\n\r\n{}"), code: providers.CodeMalformed, whole: 1},
		"EndlessHeader":     {script: says(ok + "X: " + strings.Repeat("x", 1<<20)), code: providers.CodeMalformed, whole: 1},
		"HeadWithoutEnd":    {script: says(ok + "X: y\r\n"), code: providers.CodeReset, whole: 1},
		"CutBodyWithLength": {script: says(ok + of99 + accepted), kinds: "tls", code: providers.CodeCutAnswer, whole: 1},
		"CutBodyInChunks": {script: says(ok + "Transfer-Encoding: chunked\r\n\r\n1a\r\n" + accepted),
			code: providers.CodeCutAnswer, whole: 1},
		"CutBodyByRST": {script: func(p *peer) { says(ok + of99 + "{")(p); p.reset() },
			code: providers.CodeCutAnswer, whole: 1},
		"CutBodyOfHTTP10": {script: says("HTTP/1.0 200 OK\r\n\r\n" + accepted[:9]), kinds: "tls",
			code: providers.CodeNotJSON, whole: 1}, // No error at all: the JSON tells.
		"CutBodyWith500": {script: says("HTTP/1.1 500 X\r\n" + of99 + "{"), code: "http_500", whole: 1},
		"CutBodyWith401": {script: says("HTTP/1.1 401 X\r\n" + of99 + "{"), class: providers.Blocked,
			code: "http_401", whole: 1},
		"HangInTheBody": {script: func(p *peer) { says(ok + of99 + "{")(p); p.wire.giveUp(); p.untilClientGoes() },
			code: providers.CodeTimeout, whole: 1},
		"ContinueUnasked": {script: says("HTTP/1.1 100 Continue\r\n\r\n" + answers(502, "")), code: "http_502", whole: 1},
		"SwitchingProtocols": {script: says("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"),
			code: "http_101", whole: 1},

		// Expect: 100-continue. What ends before the server agrees has not left.
		"ExpectThenRST": {script: func(p *peer) { p.head(); p.reset() }, kinds: "tls reused", header: expect,
			class: providers.Unsent, code: providers.CodeNoConnection},
		"ExpectThenFIN": {script: func(p *peer) { p.head() }, kinds: "tls reused", header: expect,
			class: providers.Unsent, code: providers.CodeNoConnection},
		"ExpectThenGarbage": {script: func(p *peer) { p.head(); p.say("what\r\n\r\n") }, header: expect,
			class: providers.Unsent, code: providers.CodeNoConnection},
		"ExpectThenDeadline": {script: func(p *peer) { p.head(); p.wire.giveUp(); p.untilClientGoes() }, kinds: "reused",
			header: expect, class: providers.Unsent, code: providers.CodeNoConnection},
		"ExpectThen503": {script: func(p *peer) { p.head(); p.say("HTTP/1.1 503 X\r\nConnection: close\r\n\r\n") },
			kinds: "tls reused", header: expect, class: providers.Unsent, code: "http_503"},
		"ExpectThen401": {script: func(p *peer) { p.head(); p.say(answers(401, "no")) }, header: expect,
			class: providers.Blocked, code: "http_401"},
		"ExpectThen429": {script: func(p *peer) { p.head(); p.say(answers(429, "")) }, header: expect,
			class: providers.NotNow, code: "http_429"},
		"ExpectThenContinueThenFIN": {script: (*peer).agree, kinds: "tls reused", header: expect,
			code: providers.CodeReset, whole: 1},
		"ExpectThenContinueThenRST": {script: func(p *peer) { p.agree(); p.reset() }, kinds: "tls reused", header: expect,
			code: providers.CodeReset, whole: 1},
		"ExpectThenContinueThen503": {script: func(p *peer) { p.agree(); p.say(answers(503, "")) }, header: expect,
			code: "http_503", whole: 1},
		"ExpectIgnoredThenFIN": {script: (*peer).take, header: expect,
			limits: func(t *http.Transport) { t.ExpectContinueTimeout = 20 * time.Millisecond },
			code:   providers.CodeReset, whole: 1},
	}
	pair, pool := certificate()
	for name, tt := range tests {
		for _, kind := range append([]string{"plain"}, strings.Fields(tt.kinds)...) {
			t.Run(name+"/"+kind, func(t *testing.T) {
				var config *tls.Config
				if kind == "tls" {
					config = &tls.Config{Certificates: []tls.Certificate{pair}}
				}
				w := startWire(t, config, kind == "reused", tt.script)
				ctx := passing{context.Background(), make(chan struct{})}
				w.giveUp = sync.OnceFunc(func() { close(ctx.over) })
				client := providers.NewHTTPClient(providers.RootCAs(pool))
				client.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute // No row waits for it.
				if tt.limits != nil {
					tt.limits(client.Transport.(*http.Transport))
				}
				r := providers.Request{URL: w.root, Body: []byte(strings.Repeat("x", 120))}
				if kind == "reused" {
					if _, failure := providers.Post(t.Context(), client, r); failure != nil {
						t.Fatalf("warming up: %v", failure)
					}
				}
				r.Header = tt.header
				answer, failure := providers.Post(ctx, client, r)
				if failure == nil {
					failure = providers.ClassifyStatus(answer)
				}
				client.CloseIdleConnections()
				w.stop()
				if failure.Class != tt.class || failure.Code != tt.code {
					t.Errorf("got %v, want %s (%s)", failure, tt.code, tt.class)
				}
				if got := w.whole.Load(); got != tt.whole {
					t.Errorf("the server had %d whole requests, want %d", got, tt.whole)
				}
			})
		}
	}
}

// TestRacesOfTheWire has what can end in two ways, because the transport reads the body in a goroutine of its own: a
// server that goes before it has read anything, and one that refuses at the headers and keeps the connection, over
// which the transport then sends the body after all. Neither end is a lie.
func TestRacesOfTheWire(t *testing.T) {
	expect := http.Header{"Expect": {"100-continue"}}
	for name, tt := range map[string]struct {
		header http.Header
		script func(*peer)
	}{
		"FINBeforeReading":        {nil, func(*peer) {}},
		"RSTBeforeReading":        {nil, (*peer).reset},
		"RefusedOnKeptConnection": {expect, func(p *peer) { r := p.head(); p.say(answers(503, "busy")); p.body(r) }},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				w := startWire(t, nil, false, tt.script)
				client := providers.NewHTTPClient()
				answer, failure := providers.Post(t.Context(), client, providers.Request{
					URL: w.root, Header: tt.header, Body: []byte("x"),
				})
				if failure == nil {
					failure = providers.ClassifyStatus(answer)
				}
				client.CloseIdleConnections()
				w.stop()
				switch got := w.whole.Load(); {
				case failure.Class == providers.Unsent && got == 0, failure.Class == providers.Unknown && got <= 1:
				default:
					t.Fatalf("%v, and the server had %d requests", failure, got)
				}
			}
		})
	}
}

// TestStatusesOfTheWire is the transport table of research/providers.md, section 1.3, and the statuses of
// research/reliability.md, section 4.3. Where they differ from design.md, section 5, the design is right: every 503 is
// Unknown.
func TestStatusesOfTheWire(t *testing.T) {
	for class, statuses := range map[providers.Class][]int{
		providers.NotNow: {429},
		providers.Unknown: {
			408, 409, 425, 451, 500, 501, 502, 503, 504, 507, 520, 521, 522, 523, 524, 599, 999,
		},
		providers.Blocked: {300, 301, 302, 303, 304, 307, 308, 399, 401, 403, 404, 405, 407, 410},
		providers.Content: {400, 413, 414, 415, 422},
	} {
		for _, status := range statuses {
			t.Run(fmt.Sprint(status), func(t *testing.T) {
				var w *wire
				w = startWire(t, nil, false, func(p *peer) {
					p.take()
					fmt.Fprintf(p, "HTTP/1.1 %d X\r\nLocation: %s/\r\nRetry-After: 7\r\nConnection: close\r\n\r\n", status, w.root)
					if status != http.StatusNotModified {
						p.say(`<html><script>x = {"code": 2}</script>`)
					}
				})
				client := providers.NewHTTPClient()
				answer, failure := providers.Post(t.Context(), client, providers.Request{URL: w.root, Body: []byte("x")})
				if failure != nil {
					t.Fatal(failure)
				}
				client.CloseIdleConnections()
				w.stop()
				e := providers.ClassifyStatus(answer)
				if e.Class != class || e.Code != fmt.Sprintf("http_%d", status) {
					t.Errorf("got %v, want %s", e, class)
				}
				if (e.RetryAfter != 0) != (class == providers.NotNow) || w.whole.Load() != 1 {
					t.Errorf("wait %s, %d requests", e.RetryAfter, w.whole.Load())
				}
			})
		}
	}
	for status, body := range map[int]string{200: "", 201: "<html>", 202: "x", 204: "", 206: "{", 299: "[]"} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			w := startWire(t, nil, false, says(answers(status, body)))
			client := providers.NewHTTPClient()
			answer, failure := providers.Post(t.Context(), client, providers.Request{URL: w.root, Body: []byte("x")})
			client.CloseIdleConnections()
			w.stop()
			if failure == nil {
				failure = providers.ClassifyStatus(answer)
			}
			if failure.Class != providers.Unknown || failure.Code != providers.CodeNotJSON {
				t.Errorf("got %v", failure)
			}
		})
	}
}
