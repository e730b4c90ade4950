package providers_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pregon/providers"
)

// serve starts a server for one test, and a client for it whose idle connections end with the test.
func serve(t *testing.T, handler http.HandlerFunc) (root string, c *http.Client) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c = providers.NewHTTPClient()
	t.Cleanup(c.CloseIdleConnections)
	return server.URL, c
}

func TestPostSendsWhatItWasGiven(t *testing.T) {
	var got http.Header
	var body []byte
	root, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("X-Answer", "yes")
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "short and stout")
	})
	header := http.Header{"Partner-Token": {"abc"}, "Idempotency-Key": {"1"}, "X-Idempotency-Key": {"2"}}
	answer, failure := providers.Post(t.Context(), c, providers.Request{
		URL: root, ContentType: "text/plain", Header: header, Body: []byte("hola"),
	})
	if failure != nil {
		t.Fatal(failure)
	}
	if answer.Status != 418 || string(answer.Body) != "short and stout" || answer.Header.Get("X-Answer") != "yes" {
		t.Errorf("answer %d %q", answer.Status, answer.Body)
	}
	if answer.BodyUnread {
		t.Error("the body was read, the answer says it was not")
	}
	if string(body) != "hola" || got.Get("Content-Type") != "text/plain" || got.Get("Partner-Token") != "abc" {
		t.Errorf("request %q, header %v", body, got)
	}
	if got.Get("Idempotency-Key")+got.Get("X-Idempotency-Key") != "" {
		t.Error("an idempotency key was sent, which makes Go repeat the POST")
	}
	if header.Get("Idempotency-Key") == "" {
		t.Error("the caller's header was changed")
	}
}

func TestPostStopsAtAMebibyte(t *testing.T) {
	root, c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Write(bytes.Repeat([]byte("x"), 2<<20))
	})
	answer, failure := providers.Post(t.Context(), c, providers.Request{URL: root, Body: []byte("x")})
	if failure != nil || len(answer.Body) != 1<<20 {
		t.Errorf("%d bytes, %v", len(answer.Body), failure)
	}
}

func TestPostWithoutBody(t *testing.T) {
	var hits atomic.Int32
	root, c := serve(t, func(http.ResponseWriter, *http.Request) {
		if hits.Add(1) > 1 {
			panic(http.ErrAbortHandler)
		}
	})
	shut := errors.New("shut")
	_, failure := providers.Post(t.Context(), c, providers.Request{URL: root, Gate: func() error { return shut }})
	if failure == nil || failure.Class != providers.Unsent || !errors.Is(failure, shut) || hits.Load() != 0 {
		t.Errorf("a shut gate gave %v, %d requests", failure, hits.Load())
	}
	if _, failure = providers.Post(t.Context(), c, providers.Request{URL: root}); failure != nil {
		t.Error(failure)
	}
	_, failure = providers.Post(t.Context(), c, providers.Request{URL: root})
	if failure == nil || failure.Class != providers.Unknown {
		t.Errorf("a lost answer to a request without body gave %v", failure)
	}
	_, failure = providers.Post(t.Context(), c, providers.Request{URL: "http://127.0.0.1:1/"})
	if failure == nil || failure.Class != providers.Unsent {
		t.Errorf("no connection for a request without body gave %v", failure)
	}
}

func TestPostFailuresBeforeTheBody(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	proxy, err := url.Parse(plain.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(proxy.Host)
	pair, _ := certificate()
	untrusted := startWire(t, &tls.Config{Certificates: []tls.Certificate{pair}}, false, (*peer).take)
	deaf := startWire(t, nil, false, (*peer).untilClientGoes)
	gone := startWire(t, nil, false, func(*peer) {})
	t.Cleanup(func() { untrusted.stop(); deaf.stop(); gone.stop() })
	handshake := providers.NewHTTPClient()
	handshake.Transport.(*http.Transport).TLSHandshakeTimeout = 20 * time.Millisecond
	timeout := &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
	over := make(chan struct{}) // A dial goes on without the request that wanted it.
	t.Cleanup(func() { close(over) })
	impatient := dialing(func() error { <-over; return timeout })
	impatient.Timeout = 20 * time.Millisecond
	https := func(w *wire) string { return strings.Replace(w.root, "http:", "https:", 1) }
	tests := map[string]struct {
		url    string
		client *http.Client
		code   string
	}{
		"DialTimeout":              {"http://example.invalid/", dialing(func() error { return timeout }), providers.CodeNoConnection},
		"DeadlineWhileDialling":    {"http://example.invalid/", impatient, providers.CodeNoConnection},
		"UntrustedCertificate":     {untrusted.root, providers.NewHTTPClient(), providers.CodeTLS},
		"HandshakeTimeout":         {https(deaf), handshake, providers.CodeTLS},
		"HangUpInTheHandshake":     {https(gone), providers.NewHTTPClient(), providers.CodeTLS},
		"BadAddressIsNotBuilt":     {"http://\x7f/573005550123", providers.NewHTTPClient(), providers.CodeBadRequest},
		"BadHeaderDoesNotLeave":    {plain.URL, providers.NewHTTPClient(), providers.CodeNoConnection},
		"UnknownHost":              {"http://nowhere.invalid/", providers.NewHTTPClient(), providers.CodeNoConnection},
		"RefusedPort":              {"http://127.0.0.1:1/573005550123", providers.NewHTTPClient(), providers.CodeNoConnection},
		"PlainServerBehindHTTPS":   {"https://127.0.0.1:" + port, providers.NewHTTPClient(), providers.CodeTLS},
		"ProxyThatRefusesToTunnel": {"https://example.invalid", providers.NewHTTPClient(providers.Proxy(proxy)), providers.CodeNoConnection},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(tt.client.CloseIdleConnections)
			r := providers.Request{URL: tt.url, Body: []byte("x")}
			if name == "BadHeaderDoesNotLeave" {
				r.Header = http.Header{"X": {"a\nb"}}
			}
			_, failure := providers.Post(t.Context(), tt.client, r)
			if failure == nil || failure.Class != providers.Unsent || failure.Code != tt.code {
				t.Fatalf("got %v, want %s (unsent)", failure, tt.code)
			}
			if strings.Contains(failure.Error(), "573005550123") {
				t.Error("the error shows the address")
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	client := dialing(func() error { cancel(); <-over; return timeout })
	_, failure := providers.Post(ctx, client, providers.Request{URL: "http://example.invalid/", Body: []byte("x")})
	if failure == nil || failure.Class != providers.Unsent || failure.Code != providers.CodeCancelled {
		t.Errorf("cancelled while dialling: %v", failure)
	}
	if n := untrusted.whole.Load() + deaf.whole.Load() + gone.whole.Load(); n > 0 {
		t.Errorf("the servers had %d requests", n)
	}
}

// dialing is a client that finds no connection.
func dialing(dial func() error) *http.Client {
	c := providers.NewHTTPClient()
	c.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, dial()
	}
	return c
}

// TestPostKeepsToTheRules gives Post a client that would follow redirects, keep cookies and be patient for ever.
func TestPostKeepsToTheRules(t *testing.T) {
	hits := 0
	root, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		hits++
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	careless := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(careless.CloseIdleConnections)
	answer, failure := providers.Post(t.Context(), careless, providers.Request{URL: root, Body: []byte("x")})
	if failure != nil || answer.Status != 307 || hits != 1 {
		t.Errorf("%d, %v, %d requests", answer.Status, failure, hits)
	}
}

func TestClientTimeoutCounts(t *testing.T) {
	root, c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // Only then does the server notice that the client has gone.
		<-r.Context().Done()
	})
	c.Timeout = 1
	_, failure := providers.Post(t.Context(), c, providers.Request{URL: root, Body: []byte("x")})
	if failure == nil || !errors.Is(failure, context.DeadlineExceeded) {
		t.Errorf("got %v", failure)
	}
}

func TestNewHTTPClientSpeaksHTTP1AndReadsNoProxyVariables(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Proto)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	c := providers.NewHTTPClient(providers.RootCAs(roots), providers.MaxConns(1))
	t.Cleanup(c.CloseIdleConnections)
	answer, failure := providers.Post(t.Context(), c, providers.Request{URL: server.URL, Body: []byte("x")})
	if failure != nil || string(answer.Body) != "HTTP/1.1" {
		t.Errorf("%q, %v", answer.Body, failure)
	}
	transport := c.Transport.(*http.Transport)
	if transport.Proxy != nil {
		t.Error("the client looks for a proxy in the environment")
	}
	if !errors.Is(c.CheckRedirect(nil, nil), http.ErrUseLastResponse) {
		t.Error("the client follows redirects when it is used without Post")
	}
}

// TestGateSeesNoBodyByteLeave reads the wire itself: what is there when the gate refuses is headers at most.
func TestGateSeesNoBodyByteLeave(t *testing.T) {
	for _, gate := range []func() error{
		func() error { return errors.New("paused") },
		func() error { panic("oh") },
		func() error { return errors.New(strings.Repeat("x", -len(t.Name()))) }, // A panic of the runtime's kind.
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		wire := make(chan []byte)
		go func() {
			defer l.Close()
			conn, err := l.Accept()
			if err != nil {
				wire <- nil
				return
			}
			defer conn.Close()
			all, _ := io.ReadAll(conn)
			wire <- all
		}()
		c := providers.NewHTTPClient()
		body := []byte("mobile=573005550123")
		_, failure := providers.Post(t.Context(), c, providers.Request{
			URL: "http://" + l.Addr().String(), Body: body, Gate: gate,
		})
		c.CloseIdleConnections()
		if failure == nil || failure.Class != providers.Unsent || failure.Code != providers.CodeGate {
			t.Errorf("got %v", failure)
		}
		if got := <-wire; bytes.Contains(got, []byte("mobile")) {
			t.Errorf("on the wire: %q", got)
		}
	}
}

// TestExpectedContinueKeepsTheBody refuses at the headers: nothing of the body has left, so that even a server error is
// certain.
func TestExpectedContinueKeepsTheBody(t *testing.T) {
	root, c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	asked := false
	answer, failure := providers.Post(t.Context(), c, providers.Request{
		URL: root, Body: []byte("x"), Header: http.Header{"Expect": {"100-continue"}},
		Gate: func() error { asked = true; return nil },
	})
	if failure != nil || !answer.BodyUnread || asked {
		t.Fatalf("%+v, %v, gate asked: %v", answer, failure, asked)
	}
	if class := providers.ClassifyStatus(answer).Class; class != providers.Unsent {
		t.Errorf("class %s, want unsent", class)
	}
}

func ExamplePost() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer server.Close()
	client := providers.NewHTTPClient()
	defer client.CloseIdleConnections()
	answer, failure := providers.Post(context.Background(), client, providers.Request{
		URL: server.URL, ContentType: "application/json", Body: []byte(`{"text":"hola"}`),
		Gate: func() error { return nil }, // Asked at the last moment.
	})
	if failure == nil {
		failure = providers.ClassifyStatus(answer)
	}
	fmt.Println(failure)
	// Output: http_502 (unknown): Bad Gateway
}

func BenchmarkPost(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"code":1}`)
	}))
	defer server.Close()
	c := providers.NewHTTPClient()
	defer c.CloseIdleConnections()
	r := providers.Request{URL: server.URL, Body: bytes.Repeat([]byte("x"), 300), Gate: func() error { return nil }}
	b.ReportAllocs()
	for b.Loop() {
		if _, failure := providers.Post(b.Context(), c, r); failure != nil {
			b.Fatal(failure)
		}
	}
}
