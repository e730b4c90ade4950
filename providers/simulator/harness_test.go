package simulator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"pregon/providers/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a simulator behind a real listener, and a client that neither follows redirects nor keeps connections
// after the test.
type stage struct {
	*simulator.Server
	url    string
	client *http.Client
}

func start(t testing.TB, o simulator.Options) *stage {
	t.Helper()
	sim := simulator.New(o)
	server := httptest.NewServer(sim)
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(func() {
		sim.Close()
		transport.CloseIdleConnections()
		server.Close()
	})
	return &stage{Server: sim, url: server.URL, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// fields is a good send to the phone, with changes: "name=value" sets a field, "name" removes it.
func fields(mobile string, changes ...string) url.Values {
	f := url.Values{
		"login": {"demo@example.com"}, "token": {"demo"}, "mobile": {mobile}, "id_template": {"990"},
		"template_variables": {"[Carlos] [Dra. Peña] [lunes 3:00 p. m.]"}, "custom_field": {"1234-5678-912554"},
	}
	for _, c := range changes {
		if name, value, found := strings.Cut(c, "="); found {
			f.Set(name, value)
		} else {
			f.Del(c)
		}
	}
	return f
}

// reply is an answer as it came over the wire.
type reply struct {
	status int
	header http.Header
	body   string
}

// code is the "code" of a JSON answer, or -1.
func (r reply) code() int {
	var answer struct{ Code *int }
	if json.Unmarshal([]byte(r.body), &answer) != nil || answer.Code == nil {
		return -1
	}
	return *answer.Code
}

func (s *stage) post(ctx context.Context, path, contentType string, body io.Reader) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, body)
	if err != nil {
		return reply{}, err
	}
	req.GetBody = nil // The transport must not repeat a POST by itself, or the counts would not be ours.
	req.Header.Set("Content-Type", contentType)
	res, err := s.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	return reply{status: res.StatusCode, header: res.Header, body: string(raw)}, err
}

func (s *stage) postForm(path string, f url.Values) (reply, error) {
	return s.post(context.Background(), path, "application/x-www-form-urlencoded", strings.NewReader(f.Encode()))
}

// send posts a send that must be answered.
func (s *stage) send(t testing.TB, f url.Values) reply {
	t.Helper()
	r, err := s.postForm(simulator.SendPath, f)
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	return r
}

// multipartBody encodes the fields as the screenshot of the document's section 1 does.
func multipartBody(t testing.TB, f url.Values) (contentType string, body *bytes.Buffer) {
	t.Helper()
	body = new(bytes.Buffer)
	w := multipart.NewWriter(body)
	for name := range f {
		if err := w.WriteField(name, f.Get(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), body
}

// raw writes bytes to the simulator and returns what came back until the connection ended, and how it ended: io.EOF
// is nil, as io.ReadAll has it.
func (s *stage) raw(t testing.TB, request string) (string, error) {
	t.Helper()
	return s.rawThen(t, request, func(*net.TCPConn) error { return nil })
}

// rawThen does something to the connection between writing and reading.
func (s *stage) rawThen(t testing.TB, request string, then func(*net.TCPConn) error) (string, error) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if err := then(conn.(*net.TCPConn)); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	return string(got), err
}

func (s *stage) control(t testing.TB, method, path, body string) reply {
	t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{status: res.StatusCode, header: res.Header, body: string(text)}
}
