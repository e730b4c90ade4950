package providers_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"pregon/providers"
)

// ending is how a request goes wrong.
type ending string

const (
	fin    ending = "fin"    // the server closes the connection
	rst    ending = "rst"    // the server resets it
	giveUp ending = "giveUp" // the client's context ends, and the server goes on reading
)

// cut is one broken request: after so many of its bytes, over this kind of connection.
type cut struct {
	After                 int
	Ending                ending
	TLS, Reused, Expected bool
}

// cutter is a server that breaks requests as told and knows which of them it had whole.
type cutter struct {
	listener net.Listener
	cut      cut
	giveUp   func()
	mu       sync.Mutex
	warm     int // whole requests still to be answered properly
	complete int
	conns    sync.WaitGroup
}

// certificate is a server's, and the pool that trusts it.
func certificate() (tls.Certificate, *x509.CertPool) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return server.TLS.Certificates[0], pool
}

func startCutter(t *rapid.T, c cut, pair tls.Certificate, giveUp func()) *cutter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &cutter{listener: l, cut: c, giveUp: giveUp}
	if c.Reused {
		s.warm = 1
	}
	s.conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Go(func() {
				if c.TLS {
					s.serve(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}}), conn)
				} else {
					s.serve(conn, conn)
				}
			})
		}
	})
	return s
}

// stop waits until every connection has ended, so that what arrives late is counted too.
func (s *cutter) stop() (complete int) {
	s.listener.Close()
	s.conns.Wait()
	return s.complete
}

func (s *cutter) warming() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.warm == 0 {
		return false
	}
	s.warm--
	return true
}

func (s *cutter) serve(conn, tcp net.Conn) {
	defer tcp.Close()
	reader := bufio.NewReader(conn)
	warmed := false
	for s.warming() {
		warmed = true
		req, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
	}
	// A connection that is closed while idle is a case of its own; the other endings wait for the next request, or they
	// would break the first one's answer.
	if warmed && s.cut.Ending != fin {
		if _, err := reader.Peek(1); err != nil {
			return
		}
	}
	got := s.read(conn, reader)
	if whole(got) {
		s.mu.Lock()
		s.complete++
		s.mu.Unlock()
	}
	s.giveUp()
	if s.cut.Ending == rst {
		tcp.(*net.TCPConn).SetLinger(0)
	}
}

// read takes a request up to the cut, or until nothing more comes where it is the client who gives up.
func (s *cutter) read(conn net.Conn, reader *bufio.Reader) (got []byte) {
	gaveUp, continued := false, false
	for one := make([]byte, 1); ; {
		if len(got) >= s.cut.After && s.cut.Ending != giveUp || whole(got) {
			break
		}
		if len(got) >= s.cut.After && !gaveUp {
			gaveUp = true
			s.giveUp()
		}
		if _, err := reader.Read(one); err != nil {
			break
		}
		got = append(got, one[0])
		if s.cut.Expected && !continued && bytes.HasSuffix(got, []byte("\r\n\r\n")) {
			continued = true
			io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
	}
	return got
}

// whole reports whether the bytes are a request with all of its body.
func whole(got []byte) bool {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(got)))
	if err != nil {
		return false
	}
	body, err := io.ReadAll(req.Body)
	return err == nil && int64(len(body)) == req.ContentLength
}

// TestUnsentWasNeverReceived breaks requests at random places, over every kind of connection. Whatever is called Unsent
// will be sent again, so the server must never have had the whole of it, not even afterwards; and it never has one
// request twice.
//
// RAPID_CHECKS says how many cuts there are for each kind (100, and a fifth of them with -short); RAPID_SEED repeats a
// run by the seed that its failure printed.
func TestUnsentWasNeverReceived(t *testing.T) {
	pair, pool := certificate()
	seen := map[providers.Class]int{}
	whole, kinds := 0, 0
	for kind, connection := range map[string]cut{
		"Plain":             {},
		"PlainReused":       {Reused: true},
		"PlainExpect":       {Expected: true},
		"PlainReusedExpect": {Reused: true, Expected: true},
		"TLS":               {TLS: true},
		"TLSReused":         {TLS: true, Reused: true},
		"TLSExpect":         {TLS: true, Expected: true},
		"TLSReusedExpect":   {TLS: true, Reused: true, Expected: true},
	} {
		t.Run(kind, func(t *testing.T) {
			kinds++
			rapid.Check(t, func(t *rapid.T) {
				c := connection
				c.After = rapid.IntRange(0, 360).Draw(t, "after")
				c.Ending = rapid.SampledFrom([]ending{fin, rst, giveUp}).Draw(t, "ending")
				class, complete := breakRequest(t, c, pair, pool)
				seen[class]++
				whole += complete
				if class != providers.Unsent && class != providers.Unknown {
					t.Fatalf("a broken request is %s", class)
				}
				if class == providers.Unsent && complete > 0 {
					t.Fatal("called unsent, and the server had the whole request")
				}
				if complete > 1 {
					t.Fatalf("the server had the request %d times", complete)
				}
			})
		})
	}
	if kinds == 8 && (seen[providers.Unsent] == 0 || seen[providers.Unknown] == 0 || whole == 0) {
		t.Errorf("the cuts were too much alike: %v, %d whole requests", seen, whole)
	}
}

func breakRequest(
	t *rapid.T, c cut, pair tls.Certificate, pool *x509.CertPool,
) (class providers.Class, complete int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	onGiveUp := func() {}
	if c.Ending == giveUp {
		onGiveUp = cancel
	}
	server := startCutter(t, c, pair, onGiveUp)
	client := providers.NewHTTPClient(providers.RootCAs(pool))
	root := "http://" + server.listener.Addr().String()
	if c.TLS {
		root = "https://" + server.listener.Addr().String()
	}
	header := http.Header{}
	if c.Expected {
		header.Set("Expect", "100-continue")
	}
	body := bytes.Repeat([]byte("x"), 120)
	if c.Reused {
		_, failure := providers.Post(context.Background(), client, providers.Request{URL: root, Body: body})
		if failure != nil {
			t.Fatalf("warming up: %v", failure)
		}
	}
	_, failure := providers.Post(ctx, client, providers.Request{URL: root, Body: body, Header: header})
	client.CloseIdleConnections()
	complete = server.stop()
	if failure == nil {
		return providers.Accepted, complete
	}
	return failure.Class, complete
}
