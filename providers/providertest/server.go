package providertest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"pregon/providers"
)

// account is a scripted server that counts the requests of which it has every byte.
type account struct {
	*httptest.Server
	mu       sync.Mutex
	complete int
	repeats  int // of them with a header that makes Go repeat a POST
}

// newAccount serves with answer whatever request arrives whole.
func newAccount(answer http.HandlerFunc) *account {
	a := &account{}
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		a.mu.Lock()
		a.complete++
		if r.Header.Get("Idempotency-Key") != "" || r.Header.Get("X-Idempotency-Key") != "" {
			a.repeats++
		}
		a.mu.Unlock()
		answer(w, r)
	}))
	a.Config.ErrorLog = quiet
	return a
}

func startAccount(answer http.HandlerFunc) *account {
	a := newAccount(answer)
	a.Start()
	return a
}

// got is an error unless exactly want requests arrived whole.
func (a *account) got(want int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.complete != want {
		return fmt.Errorf("the server got %d complete requests, want %d", a.complete, want)
	}
	if a.repeats > 0 {
		return errors.New("a request carried an idempotency key, which makes Go repeat it")
	}
	return nil
}

// hangUp ends the connection without an answer.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.Close()
	}
}

// speak writes raw bytes instead of an answer, and hangs up.
func speak(raw string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		writeRaw(buffered, raw)
	}
}

func writeRaw(w *bufio.ReadWriter, raw string) {
	_, _ = w.WriteString(raw)
	_ = w.Flush()
}

// closedPort is the root of a server that is no longer there.
func closedPort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return "http://" + l.Addr().String(), nil
}

// deadline is a context whose deadline passes when the test says so.
type deadline struct {
	context.Context
	done chan struct{}
}

func newDeadline() deadline { return deadline{context.Background(), make(chan struct{})} }

func (d deadline) pass()                 { close(d.done) }
func (d deadline) Done() <-chan struct{} { return d.done }
func (d deadline) Err() error {
	select {
	case <-d.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// outcome is what a Send must come to.
type outcome struct {
	class providers.Class
	code  string // "" = any
	is    error  // nil = any
}

// send sends through a new client of the account and checks everything that holds for every Send.
func send(ctx context.Context, h Harness, root string, m providers.Message) (providers.Receipt, error, error) {
	p, err := h.New(root)
	if err != nil {
		return providers.Receipt{}, nil, fmt.Errorf("making the provider: %w", err)
	}
	return sendWith(ctx, h, p, m)
}

// sendWith gives what Send gave and, apart from it, what is wrong with that.
func sendWith(
	ctx context.Context, h Harness, p providers.Provider, m providers.Message,
) (receipt providers.Receipt, sent, wrong error) {
	began := time.Now()
	receipt, sent = p.Send(ctx, m)
	if sent == nil {
		if receipt.At.Before(began) || receipt.At.After(time.Now()) {
			return receipt, sent, errors.New("the receipt is not dated when the answer was read")
		}
		return receipt, sent, nil
	}
	e, ok := sent.(*providers.Error)
	if !ok || e == nil {
		return receipt, sent, fmt.Errorf("the error is a %T, want a non-nil *providers.Error", sent)
	}
	if receipt != (providers.Receipt{}) {
		return receipt, sent, errors.New("an error came with a receipt")
	}
	if e.Op == "" || e.Code == "" {
		return receipt, sent, errors.New("the error names no operation or no code")
	}
	if utf8.RuneCountInString(e.Reason) > 200 || strings.ContainsFunc(e.Reason, unicode.IsControl) {
		return receipt, sent, errors.New("the reason is not one line of at most 200 runes")
	}
	return receipt, sent, private(h, m, e)
}

// private is an error if anything of the person or the account shows in any form of the error.
func private(h Harness, m providers.Message, e *providers.Error) error {
	shown := e.Reason + e.Code
	for err := error(e); err != nil; err = errors.Unwrap(err) {
		shown += fmt.Sprintf("%v %+v %#v %q ", err, err, err, err)
	}
	secrets := append([]string{m.To, m.MediaURL, m.CustomField}, h.Private...)
	for _, secret := range append(secrets, m.Vars...) {
		if secret != "" && strings.Contains(shown, secret) {
			return fmt.Errorf("the error of code %q shows a private value", e.Code)
		}
	}
	return nil
}

// meets is an error unless a Send came to the outcome.
func (o outcome) meets(sent error) error {
	if class := providers.ClassOf(sent); class != o.class {
		return fmt.Errorf("class %s, want %s (%v)", class, o.class, sent)
	}
	if o.class == providers.Accepted {
		return nil
	}
	if e := sent.(*providers.Error); o.code != "" && e.Code != o.code {
		return fmt.Errorf("code %q, want %q", e.Code, o.code)
	}
	if o.is != nil && !errors.Is(sent, o.is) {
		return fmt.Errorf("errors.Is does not find %q", o.is)
	}
	return nil
}
