package simulator

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// maxBody is the largest request body that is read, in bytes.
const maxBody = 1 << 20

const urlencoded = "application/x-www-form-urlencoded"

// form holds the fields of one request. As in PHP, the last of several fields with one name wins.
type form map[string]string

// errTooLarge reports a body above maxBody; errCut one that ended before its announced length. errMultipart stands for
// the standard library's errors, which quote the body, and so a token.
var (
	errTooLarge  = errors.New("body larger than 1 MiB")
	errCut       = errors.New("body ended too early")
	errMultipart = errors.New("decode form: malformed multipart body")
)

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// readForm reads the whole body and decodes it. The buffer is shared between requests; a decoded form never points
// into it.
func readForm(w http.ResponseWriter, r *http.Request) (form, error) {
	buf := bodies.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= 64<<10 { // A rare giant must not stay in memory for good.
			buf.Reset()
			bodies.Put(buf)
		}
	}()
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, errTooLarge
		}
		return nil, errCut
	}
	return decodeForm(r.Header.Get("Content-Type"), buf.Bytes())
}

// decodeForm decodes a body by its content type. A type that is no form yields no fields, as PHP's $_POST would.
func decodeForm(contentType string, body []byte) (form, error) {
	if contentType == urlencoded {
		return decodeURL(string(body))
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return form{}, nil
	}
	switch kind {
	case urlencoded:
		return decodeURL(string(body))
	case "multipart/form-data":
		return decodeMultipart(body, params["boundary"])
	}
	return form{}, nil
}

// decodeURL splits at '&' only: a ';' belongs to its value.
func decodeURL(body string) (form, error) {
	f := make(form, 8)
	for body != "" {
		var pair string
		pair, body, _ = strings.Cut(body, "&")
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(key)
		if err != nil {
			return nil, errors.New("decode form: field name with a broken escape")
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, errors.New("decode form: value with a broken escape")
		}
		f[key] = value
	}
	return f, nil
}

// decodeMultipart leaves uploaded files out: PHP keeps them apart from the fields.
func decodeMultipart(body []byte, boundary string) (form, error) {
	if boundary == "" {
		return nil, errors.New("decode form: multipart without a boundary")
	}
	f := make(form, 8)
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return nil, errMultipart
		}
		name := part.FormName()
		if name == "" || part.FileName() != "" {
			continue
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, errMultipart
		}
		f[name] = string(value)
	}
}
