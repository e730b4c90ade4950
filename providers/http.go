package providers

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Option changes the client that NewHTTPClient makes.
type Option func(*http.Transport)

// MaxConns limits connections to one host, busy and idle; requests beyond it wait. The default is 64.
func MaxConns(n int) Option {
	return func(t *http.Transport) { t.MaxConnsPerHost, t.MaxIdleConnsPerHost = n, n }
}

// Proxy sends everything through a proxy. Without it there is none: a variable left in the environment must not decide
// where credentials go.
func Proxy(address *url.URL) Option {
	return func(t *http.Transport) { t.Proxy = http.ProxyURL(address) }
}

// RootCAs trusts these certificate authorities instead of the system's.
func RootCAs(pool *x509.CertPool) Option {
	return func(t *http.Transport) { t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12} }
}

// NewHTTPClient is a client that never sends a POST twice by itself: HTTP/1 only, because an HTTP/2 server may make Go
// repeat a request; no redirects, because a 307 repeats the body elsewhere; no cookies and no proxy from the
// environment. Idle connections are dropped after 3 s, before the 5 s at which common servers close them: a request
// that meets such a close is lost without a trace. There is no overall timeout: the context of each call has it.
func NewHTTPClient(options ...Option) *http.Client {
	var http1 http.Protocols
	http1.SetHTTP1(true)
	transport := &http.Transport{
		Protocols:              &http1,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  60 * time.Second,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        3 * time.Second,
		MaxConnsPerHost:        64,
		MaxIdleConnsPerHost:    64,
		MaxResponseHeaderBytes: 64 << 10,
	}
	for _, option := range options {
		option(transport)
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
