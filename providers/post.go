package providers

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// maxAnswer is how many bytes of an answer's body are read.
const maxAnswer = 1 << 20

// Codes of our own, for when the provider gave none. Each implies one class; an HTTP status gives "http_<status>".
const (
	CodeGate         = "gate"          // Unsent: the message's gate refused
	CodeNoConnection = "no_connection" // Unsent: name, network or connection failed before the body was read
	CodeTLS          = "tls"           // Unsent: the handshake failed
	CodeCancelled    = "cancelled"     // Unsent: the caller gave up before the body was read
	CodeBadRequest   = "bad_request"   // Unsent: the request could not be built
	CodeTimeout      = "timeout"       // Unknown: no whole answer in time
	CodeInterrupted  = "interrupted"   // Unknown: the caller gave up after the body was read
	CodeReset        = "reset"         // Unknown: the connection broke without a whole head of an answer
	CodeMalformed    = "malformed"     // Unknown: what came back is not HTTP
	CodeCutAnswer    = "cut_answer"    // Unknown: the answer's body ended early
	CodeNotJSON      = "not_json"      // Unknown: a 2xx answer that cannot be understood
	CodeNoCode       = "no_code"       // Unknown: a well-formed answer without the code that would decide
)

// plainTransport serves clients without a transport of their own; Go's default one would speak HTTP/2.
var plainTransport = NewHTTPClient().Transport

// Request is one POST.
type Request struct {
	URL         string
	ContentType string
	Header      http.Header // more headers; "Expect: 100-continue" makes the server agree before the body is read
	Body        []byte      // must not change until long after Post: a broken connection may still read it
	Gate        func() error
}

// Answer is what came back, whatever its status.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // its first MiB
	// BodyUnread means that the server answered before it got any of our body; that takes "Expect: 100-continue". Over a
	// connection that the server does not close Go sends the body even after such an answer, unless Post is faster.
	BodyUnread bool
}

// Post sends one request, once, and says what is certain when no answer came: if the body was never read, no byte of it
// can have left (Unsent); after the first read anything may have happened (Unknown). Error texts cannot tell: a server
// that hangs up gives the same EOF before and after it has the whole request.
//
// The gate is asked when the transport first reads the body. By then the headers, which hold no person and no secret of
// the body, may be on the wire. A request without body has its gate asked before the connection is looked for.
//
// Redirects are never followed and the header Idempotency-Key is never sent, whatever the client and the request say:
// both make Go repeat a POST. An answer that breaks off is an error only if its status is 2xx; otherwise the status
// has said enough.
func Post(ctx context.Context, c *http.Client, r Request) (Answer, *Error) {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	body := newGatedBody(r.Body, r.Gate)
	var seen flight
	req, err := newRequest(seen.watch(ctx), r, body)
	if err != nil {
		return Answer{}, &Error{Class: Unsent, Code: CodeBadRequest, Err: &hidden{"the request cannot be built", err}}
	}
	if len(r.Body) == 0 {
		if err := body.open(); err != nil {
			return Answer{}, &Error{Class: Unsent, Code: CodeGate, Err: err}
		}
	}
	transport := c.Transport
	if transport == nil {
		transport = plainTransport
	}
	// The transport is called without its client: a client would put the address, which may hold a phone, into its
	// errors, and fail on a redirect with a broken address instead of showing the answer.
	resp, err := transport.RoundTrip(req)
	left := body.seal()
	if len(r.Body) == 0 {
		left = seen.connected.Load()
	}
	if err != nil {
		return Answer{}, seen.failure(ctx, err, body, left)
	}
	defer resp.Body.Close()
	answer := Answer{Status: resp.StatusCode, Header: resp.Header, BodyUnread: !left}
	answer.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil && resp.StatusCode/100 == 2 {
		return answer, cutAnswer(ctx, err)
	}
	return answer, nil
}

func newRequest(ctx context.Context, r Request, body *gatedBody) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, nil)
	if err != nil {
		return nil, err
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	req.Header.Del("Idempotency-Key")
	req.Header.Del("X-Idempotency-Key")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "pregon")
	if r.ContentType != "" {
		req.Header.Set("Content-Type", r.ContentType)
	}
	if len(r.Body) > 0 {
		// GetBody stays nil: with it the transport could read the body a second time for a second connection.
		req.Body, req.ContentLength = body, int64(len(r.Body))
	}
	return req, nil
}

// flight is what was seen of a request on its way.
type flight struct {
	connected, tlsFailed, answerBegan atomic.Bool
}

func (f *flight) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { f.connected.Store(true) },
		GotFirstResponseByte: func() { f.answerBegan.Store(true) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err != nil {
				f.tlsFailed.Store(true)
			}
		},
	})
}

// failure classifies a request that brought no answer. left says whether anything of the message can have left.
func (f *flight) failure(ctx context.Context, err error, body *gatedBody, left bool) *Error {
	if refusal := body.refused(); refusal != nil {
		return &Error{Class: Unsent, Code: CodeGate, Err: refusal}
	}
	e := &Error{Class: Unsent, Err: &hidden{Mask(err.Error()), err}}
	if left {
		e.Class = Unknown
	}
	gaveUp := errors.Is(ctx.Err(), context.Canceled)
	switch {
	case !left && gaveUp:
		e.Code = CodeCancelled
	case !left && f.tlsFailed.Load():
		e.Code = CodeTLS
	case !left:
		e.Code = CodeNoConnection
	case gaveUp:
		e.Code = CodeInterrupted
	case timedOut(ctx, err):
		e.Code = CodeTimeout
	case f.answerBegan.Load() && !brokeOff(err):
		// The transport quotes what it could not read, which may be anything.
		e.Code, e.Err = CodeMalformed, &hidden{"the answer is not HTTP", err}
	default:
		e.Code = CodeReset
	}
	if ctx.Err() != nil {
		e.Err = &hidden{ctx.Err().Error(), errors.Join(ctx.Err(), err)}
	}
	return e
}

// brokeOff reports whether the connection ended where more was to come. "100 Continue" begins an answer too.
func brokeOff(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// cutAnswer classifies a 2xx answer whose body ended early: the message left, and what was said of it is lost.
func cutAnswer(ctx context.Context, err error) *Error {
	e := &Error{Class: Unknown, Code: CodeCutAnswer, Err: &hidden{Mask(err.Error()), err}}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		e.Code, e.Err = CodeInterrupted, ctx.Err()
	case timedOut(ctx, err):
		e.Code = CodeTimeout
	}
	return e
}

func timedOut(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return true
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
