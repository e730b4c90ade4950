package providertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"sync"
	"time"

	"pregon/providers"
)

// quiet swallows what servers say about clients that hang up.
var quiet = log.New(io.Discard, "", 0)

// check is one rule. It gives an error instead of failing a test so that the suite itself can be tested.
type check struct {
	name string
	run  func(h Harness) error
}

// checks is the whole suite for a provider.
func checks(h Harness) []check {
	all := []check{
		{"AcceptedGivesTheReceipt", accepted},
		{"ReusedConnectionIsNotRetried", reusedConnection},
		{"RefusedConnectionIsUnsent", refusedConnection},
		{"UntrustedCertificateIsUnsent", untrustedCertificate},
		{"GateRefusalIsUnsent", gateRefusal},
		{"OpenGateIsAskedOnce", openGate},
		{"CancelledBeforeIsUnsent", cancelledBefore},
		{"CancelledAfterIsUnknown", cancelledAfter},
		{"DeadlineAfterIsUnknown", deadlineAfter},
		{"RedirectIsNotFollowed", redirect},
		{"EchoedValuesAreMasked", echo},
		{"ConcurrentSendsAreOneRequestEach", concurrent},
		answers("UnlistedCodeIsUnknownAndKept", h.Unlisted, outcome{class: providers.Unknown, code: h.UnlistedCode}),
		lost("LostReplyIsUnknown", hangUp, providers.CodeReset),
		lost("GarbageReplyIsUnknown", speak("what is this\r\n\r\n"), providers.CodeMalformed),
		lost("CutReplyIsUnknown", speak(cutReply("HTTP/1.1 200 OK\r\nContent-Length: 500", h)), providers.CodeCutAnswer),
		lost("CutReplyWithoutLengthIsUnknown", speak(cutReply("HTTP/1.0 200 OK", h)), providers.CodeNotJSON),
	}
	for _, c := range h.Cases {
		all = append(all, answers("Documented/"+c.Name, c.Reply, outcome{class: c.Class, code: c.Code}))
	}
	return append(all, statusChecks()...)
}

// cutReply is a head and the beginning of an accepted answer.
func cutReply(head string, h Harness) string {
	return head + "\r\n\r\n" + h.Accepted.Body[:len(h.Accepted.Body)*2/3]
}

// statusChecks is the table of answers whose body says nothing.
func statusChecks() []check {
	page := "<!DOCTYPE html><html><body><script>var x = {\"code\": 2}</script>An error occurred.</body></html>"
	rows := []struct {
		status int
		class  providers.Class
		code   string
	}{
		{200, providers.Unknown, providers.CodeNotJSON}, {204, providers.Unknown, providers.CodeNotJSON},
		{302, providers.Blocked, "http_302"}, {400, providers.Content, "http_400"},
		{401, providers.Blocked, "http_401"}, {403, providers.Blocked, "http_403"},
		{404, providers.Blocked, "http_404"}, {405, providers.Blocked, "http_405"},
		{408, providers.Unknown, "http_408"}, {413, providers.Content, "http_413"},
		{415, providers.Content, "http_415"}, {422, providers.Content, "http_422"},
		{429, providers.NotNow, "http_429"}, {500, providers.Unknown, "http_500"},
		{502, providers.Unknown, "http_502"}, {503, providers.Unknown, "http_503"},
		{504, providers.Unknown, "http_504"}, {524, providers.Unknown, "http_524"},
	}
	var all []check
	for _, row := range rows {
		reply := Reply{Status: row.status, Body: page}
		if row.status == http.StatusNoContent {
			reply.Body = ""
		}
		name := fmt.Sprintf("Status%dIs_%s", row.status, row.class)
		all = append(all, answers(name, reply, outcome{class: row.class, code: row.code}))
	}
	return append(all, check{"RetryAfterIsObeyed", retryAfter})
}

// answers sends once to a server with this reply.
func answers(name string, reply Reply, want outcome) check {
	return check{name, func(h Harness) error {
		a := startAccount(func(w http.ResponseWriter, _ *http.Request) { reply.write(w) })
		defer a.Close()
		_, sent, wrong := send(context.Background(), h, a.URL, h.Message)
		return errors.Join(wrong, want.meets(sent), a.got(1))
	}}
}

// lost sends once to a server that takes the whole request and then answers badly.
func lost(name string, answer http.HandlerFunc, code string) check {
	return check{name, func(h Harness) error {
		a := startAccount(answer)
		defer a.Close()
		_, sent, wrong := send(context.Background(), h, a.URL, h.Message)
		return errors.Join(wrong, outcome{class: providers.Unknown, code: code}.meets(sent), a.got(1))
	}}
}

func accepted(h Harness) error {
	a := startAccount(func(w http.ResponseWriter, _ *http.Request) { h.Accepted.write(w) })
	defer a.Close()
	receipt, sent, wrong := send(context.Background(), h, a.URL, h.Message)
	if err := errors.Join(wrong, outcome{class: providers.Accepted}.meets(sent), a.got(1)); err != nil {
		return err
	}
	if receipt.ID != h.ReceiptID {
		return fmt.Errorf("receipt %q, want %q", receipt.ID, h.ReceiptID)
	}
	return nil
}

func reusedConnection(h Harness) error {
	first := true
	a := startAccount(func(w http.ResponseWriter, r *http.Request) {
		if first {
			first = false
			h.Accepted.write(w)
			return
		}
		hangUp(w, r)
	})
	defer a.Close()
	p, err := h.New(a.URL)
	if err != nil {
		return err
	}
	_, sent, wrong := sendWith(context.Background(), h, p, h.Message)
	if err := errors.Join(wrong, outcome{class: providers.Accepted}.meets(sent)); err != nil {
		return err
	}
	_, sent, wrong = sendWith(context.Background(), h, p, h.Message)
	return errors.Join(wrong, outcome{class: providers.Unknown, code: providers.CodeReset}.meets(sent), a.got(2))
}

func refusedConnection(h Harness) error {
	root, err := closedPort()
	if err != nil {
		return err
	}
	_, sent, wrong := send(context.Background(), h, root, h.Message)
	return errors.Join(wrong, outcome{class: providers.Unsent, code: providers.CodeNoConnection}.meets(sent))
}

func untrustedCertificate(h Harness) error {
	a := newAccount(func(w http.ResponseWriter, _ *http.Request) { h.Accepted.write(w) })
	a.StartTLS()
	defer a.Close()
	_, sent, wrong := send(context.Background(), h, a.URL, h.Message)
	return errors.Join(wrong, outcome{class: providers.Unsent, code: providers.CodeTLS}.meets(sent), a.got(0))
}

func gateRefusal(h Harness) error {
	a := startAccount(func(w http.ResponseWriter, _ *http.Request) { h.Accepted.write(w) })
	defer a.Close()
	shut := errors.New("paused")
	m := h.Message
	m.Gate = func() error { return fmt.Errorf("at the gate: %w", shut) }
	_, sent, wrong := send(context.Background(), h, a.URL, m)
	want := outcome{class: providers.Unsent, code: providers.CodeGate, is: shut}
	return errors.Join(wrong, want.meets(sent), a.got(0))
}

func openGate(h Harness) error {
	a := startAccount(func(w http.ResponseWriter, _ *http.Request) { h.Accepted.write(w) })
	defer a.Close()
	asked := make(chan struct{}, 10)
	m := h.Message
	m.Gate = func() error { asked <- struct{}{}; return nil }
	_, sent, wrong := send(context.Background(), h, a.URL, m)
	if n := len(asked); n != 1 {
		return fmt.Errorf("the gate was asked %d times", n)
	}
	return errors.Join(wrong, outcome{class: providers.Accepted}.meets(sent), a.got(1))
}

func cancelledBefore(h Harness) error {
	a := startAccount(func(w http.ResponseWriter, _ *http.Request) { h.Accepted.write(w) })
	defer a.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, sent, wrong := send(ctx, h, a.URL, h.Message)
	want := outcome{class: providers.Unsent, code: providers.CodeCancelled, is: context.Canceled}
	return errors.Join(wrong, want.meets(sent), a.got(0))
}

// hang takes the request, calls back and waits until the client has gone.
func hang(arrived func()) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		arrived()
		<-r.Context().Done()
	}
}

func cancelledAfter(h Harness) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	a := startAccount(hang(cancel))
	defer a.Close()
	_, sent, wrong := send(ctx, h, a.URL, h.Message)
	want := outcome{class: providers.Unknown, code: providers.CodeInterrupted, is: context.Canceled}
	return errors.Join(wrong, want.meets(sent), a.got(1))
}

func deadlineAfter(h Harness) error {
	ctx := newDeadline()
	a := startAccount(hang(ctx.pass))
	defer a.Close()
	_, sent, wrong := send(ctx, h, a.URL, h.Message)
	want := outcome{class: providers.Unknown, code: providers.CodeTimeout, is: context.DeadlineExceeded}
	return errors.Join(wrong, want.meets(sent), a.got(1))
}

func redirect(h Harness) error {
	elsewhere := startAccount(func(w http.ResponseWriter, _ *http.Request) { h.Accepted.write(w) })
	defer elsewhere.Close()
	var wrongs []error
	for _, location := range []string{elsewhere.URL + "/", "%zz"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			a := startAccount(func(w http.ResponseWriter, _ *http.Request) {
				Reply{Status: status, Header: map[string]string{"Location": location}}.write(w)
			})
			_, sent, wrong := send(context.Background(), h, a.URL, h.Message)
			want := outcome{class: providers.Blocked, code: fmt.Sprintf("http_%d", status)}
			wrongs = append(wrongs, wrong, want.meets(sent), a.got(1))
			a.Close()
		}
	}
	return errors.Join(append(wrongs, elsewhere.got(0))...)
}

func retryAfter(h Harness) error {
	var wrongs []error
	for status, want := range map[int]providers.Class{429: providers.NotNow, 503: providers.Unknown} {
		a := startAccount(func(w http.ResponseWriter, _ *http.Request) {
			Reply{Status: status, Header: map[string]string{"Retry-After": "7"}, Body: "slow down"}.write(w)
		})
		_, sent, wrong := send(context.Background(), h, a.URL, h.Message)
		wrongs = append(wrongs, wrong, outcome{class: want}.meets(sent), a.got(1))
		if e, ok := sent.(*providers.Error); ok && want == providers.NotNow && e.RetryAfter != 7*time.Second {
			wrongs = append(wrongs, fmt.Errorf("%d: RetryAfter %s, want 7s", status, e.RetryAfter))
		}
		a.Close()
	}
	return errors.Join(wrongs...)
}

func echo(h Harness) error {
	m := h.Message
	values := append([]string{m.To, m.MediaURL, m.CustomField}, h.Private...)
	text := "no:\r\n" + strings.Join(append(values, m.Vars...), "\n") + strings.Repeat(" no", 200)
	a := startAccount(func(w http.ResponseWriter, _ *http.Request) { h.Echo(text).write(w) })
	defer a.Close()
	_, sent, wrong := send(context.Background(), h, a.URL, m)
	if sent == nil {
		return errors.New("the refusal was taken for an acceptance")
	}
	if e, ok := sent.(*providers.Error); ok && !strings.Contains(e.Reason, "no:") {
		return errors.New("the provider's words are missing")
	}
	return errors.Join(wrong, a.got(1))
}

func concurrent(h Harness) error {
	a := startAccount(func(w http.ResponseWriter, _ *http.Request) { h.Accepted.write(w) })
	defer a.Close()
	p, err := h.New(a.URL)
	if err != nil {
		return err
	}
	const n = 32
	wrongs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			_, sent, wrong := sendWith(context.Background(), h, p, h.Message)
			wrongs[i] = errors.Join(wrong, outcome{class: providers.Accepted}.meets(sent))
		})
	}
	all.Wait()
	return errors.Join(errors.Join(wrongs...), a.got(n))
}
