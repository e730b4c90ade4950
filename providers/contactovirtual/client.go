// Package contactovirtual sends WhatsApp templates through contacto-virtual, a reseller of Gupshup, and reads the
// account's balance and templates. It follows the company's document "Documento para iniciar conversación WhatsApp
// desde otros sistemas", called the contacto-virtual document here, and knows the codes that Gupshup and Meta pass
// through it.
//
// The API has no idempotency key and no look-up of a message: what may have left and was not answered stays in doubt.
package contactovirtual

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"pregon/providers"
)

// Name is the provider's identifier.
const Name = "contactovirtual"

// DefaultURL is the root to which the document's paths are appended.
const DefaultURL = "https://contacto-virtual.com"

// The paths of the document's three endpoints. They end in a slash: without it the server may redirect, and a redirect
// is not followed.
const (
	sendPath     = "/bot/chat_wa/ws/send/"
	balancePath  = "/bot/chat_wa/ws/balance/"
	templatePath = "/bot/chat_wa/ws/template/"
)

// defaultTimeout bounds one call, from looking for a connection to the last byte of the answer.
const defaultTimeout = 60 * time.Second

// A read that provably never left is tried again: it costs nothing and changes nothing.
const (
	readRetries = 2
	readPause   = 300 * time.Millisecond
)

// Config is one account.
type Config struct {
	URL          string // root address; "" = DefaultURL
	Login, Token providers.Secret
	Encoding     string        // of sends: "form" (application/x-www-form-urlencoded, the default) or "multipart"
	HTTPClient   *http.Client  // nil = providers.NewHTTPClient()
	Timeout      time.Duration // of one call; 0 = 60 s
	// ExpectContinue asks the server to agree before the body of a send leaves. More broken connections are then
	// provably unsent, at the price of one round trip per send, and of a second with a server that does not know it.
	ExpectContinue bool
}

// Client talks to one account. It is safe for concurrent use, and prints as its name only.
type Client struct {
	root           *url.URL
	login, token   providers.Secret
	encoding       string
	http           *http.Client
	timeout        time.Duration
	expectContinue bool
	pause          time.Duration
}

// New checks the configuration and reports everything that is wrong with it at once. It connects to nothing.
func New(config Config) (*Client, error) {
	c := &Client{
		login: config.Login, token: config.Token,
		encoding:       cmp.Or(config.Encoding, encodingForm),
		http:           config.HTTPClient,
		timeout:        cmp.Or(config.Timeout, defaultTimeout),
		expectContinue: config.ExpectContinue,
		pause:          readPause,
	}
	var errs []error
	root, err := url.Parse(strings.TrimRight(cmp.Or(config.URL, DefaultURL), "/"))
	if err != nil || root.Host == "" || (root.Scheme != "http" && root.Scheme != "https") ||
		root.User != nil || root.RawQuery != "" || root.Fragment != "" {
		// The address is not repeated: people paste credentials into addresses.
		errs = append(errs, errors.New("URL must be a plain http or https address without user, query or fragment"))
	}
	c.root = root
	if c.login.IsZero() {
		errs = append(errs, errors.New("login is missing"))
	}
	if c.token.IsZero() {
		errs = append(errs, errors.New("token is missing"))
	}
	if c.encoding != encodingForm && c.encoding != encodingMultipart {
		errs = append(errs, fmt.Errorf("encoding must be %q or %q", encodingForm, encodingMultipart))
	}
	if c.timeout < 0 {
		errs = append(errs, errors.New("timeout must not be negative"))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("contactovirtual account: %w", errors.Join(errs...))
	}
	if c.http == nil {
		c.http = providers.NewHTTPClient()
	}
	return c, nil
}

// Name is "contactovirtual".
func (c *Client) Name() string { return Name }

// Format prints the name and nothing of the account, for every verb.
func (c *Client) Format(f fmt.State, _ rune) { fmt.Fprint(f, Name) }

// Limits is what the document and WhatsApp allow: Colombian numbers (section 1, code 4), values without brackets
// (template_variables), 1,024 runes of text, the listed media types, and custom_field less the room for our reference.
func (c *Client) Limits() providers.Limits {
	return providers.Limits{
		Prefix: "57", Digits: 12, NoBrackets: true, MaxBody: 1024, MaxCustom: maxCustomField - referenceRoom,
		MediaTypes: []string{"pdf", "jpg", "mp3", "txt", "docx", "xlsx", "zip", "mp4", "pptx", "png", "jpeg"},
	}
}

// Send posts one message, once (document, section 1). Its error is always a *providers.Error. The call is bounded by
// Config.Timeout besides ctx.
//
// Code 5 means "no balance or inactive chatbot": the error is Broke with AskBalance set, and the caller asks for the
// balance and decides with WithBalance, so that Send stays one POST.
func (c *Client) Send(ctx context.Context, m providers.Message) (providers.Receipt, error) {
	const op = Name + " send"
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request := providers.Request{Gate: m.Gate}
	if c.expectContinue {
		request.Header = http.Header{"Expect": {"100-continue"}}
	}
	request.ContentType, request.Body = encode(c.encoding, c.sendFields(m))
	answer, failure := c.post(ctx, sendPath, request)
	if failure != nil {
		return providers.Receipt{}, c.sign(op, failure)
	}
	id, failure := judgeSend(answer)
	if failure != nil {
		return providers.Receipt{}, c.sign(op, failure, append([]string{m.To, m.MediaURL, m.CustomField}, m.Vars...)...)
	}
	return providers.Receipt{ID: id, At: time.Now()}, nil
}

// Balance asks for the account's balance (document, section 2). The unit, messages or pesos, is not documented. A
// balance that cannot be read is not Known, which is not zero and not an error: the account did authenticate. A call
// that never left is repeated at most twice. Errors are *providers.Error; wrong credentials are Blocked.
func (c *Client) Balance(ctx context.Context) (providers.Balance, error) {
	const op = Name + " balance"
	answer, failure := c.read(ctx, balancePath)
	if failure != nil {
		return providers.Balance{}, c.sign(op, failure)
	}
	balance, failure := judgeBalance(answer)
	if failure != nil {
		return providers.Balance{}, c.sign(op, failure)
	}
	return balance, nil
}

// Templates lists the account's templates (document, section 3); none is an empty list (code 4 of that endpoint). The
// list carries no id_template, so ID is usually "". A call that never left is repeated at most twice. Errors are
// *providers.Error.
func (c *Client) Templates(ctx context.Context) ([]providers.Template, error) {
	const op = Name + " templates"
	answer, failure := c.read(ctx, templatePath)
	if failure != nil {
		return nil, c.sign(op, failure)
	}
	templates, failure := judgeTemplates(answer)
	if failure != nil {
		return nil, c.sign(op, failure)
	}
	return templates, nil
}

// read posts the credentials to an endpoint that changes nothing.
func (c *Client) read(ctx context.Context, path string) (providers.Answer, *providers.Error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	contentType, body := encode(encodingForm, c.credentials())
	for try := 0; ; try++ {
		answer, failure := c.post(ctx, path, providers.Request{ContentType: contentType, Body: body})
		if failure == nil || failure.Class != providers.Unsent || try == readRetries {
			return answer, failure
		}
		select {
		case <-ctx.Done():
			return answer, failure
		case <-time.After(c.pause):
		}
	}
}

func (c *Client) post(
	ctx context.Context, path string, r providers.Request,
) (providers.Answer, *providers.Error) {
	// Appended, not joined: joining would drop the path's last slash.
	r.URL = c.root.String() + path
	return providers.Post(ctx, c.http, r)
}

// maxCode is how many runes of a code are kept. The longest of the tables has six.
const maxCode = 64

// sign names the operation and hides credentials and the person's values from the provider's words. A code that is
// not listed and no number is such words too; one that is stays as it came, whatever the person's values are.
func (c *Client) sign(op string, e *providers.Error, person ...string) *providers.Error {
	login, token := c.login.Reveal(), c.token.Reveal()
	secrets := []string{login, token, url.QueryEscape(login), url.QueryEscape(token)}
	all := append(secrets, person...)
	e.Op = op
	e.Reason = providers.Mask(e.Reason, all...)
	if _, listed := c.Describe(e.Code); listed || strings.Trim(e.Code, "0123456789") == "" {
		all = secrets
	}
	e.Code = cutRunes(providers.Mask(e.Code, all...), maxCode)
	return e
}
