package simulator

import (
	"bytes"
	"maps"
	"mime/multipart"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeForm(t *testing.T) {
	const boundary = "multipart/form-data; boundary=b"
	part := func(disposition, value string) string {
		return "--b\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + value + "\r\n"
	}
	tests := []struct {
		name, contentType, body string
		want                    form
	}{
		{"empty", urlencoded, "", form{}},
		{"plus and percent", urlencoded, "a=1+2%20%5B%C3%B1%5D&b=", form{"a": "1 2 [ñ]", "b": ""}},
		{"the last one wins", urlencoded, "a=1&a=2", form{"a": "2"}},
		{"semicolons and equals signs belong to the value", urlencoded, "a=1;b=2=3", form{"a": "1;b=2=3"}},
		{"holes", urlencoded, "&&a=1&&b&", form{"a": "1", "b": ""}},
		{"type in capitals", "Application/X-WWW-Form-URLEncoded; charset=utf-8", "a=1", form{"a": "1"}},
		{"other type", "text/plain", "a=1", form{}},
		{"parts", boundary, part(`name="a"`, "1\r\n2") + part(`name="b"`, "ñ") + "--b--\r\n", form{"a": "1\r\n2", "b": "ñ"}},
		{"the last part wins", boundary, part(`name="a"`, "1") + part(`name="a"`, "2") + "--b--\r\n", form{"a": "2"}},
		{"files and nameless parts are no fields", boundary,
			part(`name="a"; filename="x.txt"`, "1") + part("x=y", "2") + "--b--\r\n", form{}},
		{"quoted-printable stays as it is", boundary, "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n" +
			"Content-Transfer-Encoding: quoted-printable\r\n\r\n=41\r\n--b--\r\n", form{"a": "=41"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := decodeForm(test.contentType, []byte(test.body))
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("error %v, form (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestDecodeFormErrorsQuoteNoBody(t *testing.T) {
	const secret = "b6fd61ec974d"
	for _, test := range []struct{ contentType, body string }{
		{urlencoded, "token=" + secret + "%zz"},
		{urlencoded, secret + "%zz=1"},
		{"multipart/form-data", secret},
		{"multipart/form-data; boundary=b", "--b\r\n" + secret},
		{"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n" + secret},
		{"multipart/form-data; boundary=b", "--b\r\n" + secret + "\r\n\r\n1\r\n--b--\r\n"},
	} {
		f, err := decodeForm(test.contentType, []byte(test.body))
		if err == nil {
			t.Errorf("%q: decoded to %v", test.body, f)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%q: the error quotes it: %v", test.body, err)
		}
	}
}

// FuzzDecodeForm holds the decoder to the standard library's where the two agree on the format, and to a round trip.
func FuzzDecodeForm(f *testing.F) {
	f.Add("application/x-www-form-urlencoded", []byte("login=demo%40example.com&template_variables=%5BCarlos%5D"))
	f.Add("application/x-www-form-urlencoded; charset=UTF-8", []byte("a=%zz&b=1;c"))
	f.Add("multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--"))
	f.Add("multipart/form-data; boundary=\"\"", []byte("--\r\n"))
	f.Add("application/json", []byte("{}"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		before := bytes.Clone(body)
		got, err := decodeForm(contentType, body)
		if (got == nil) != (err != nil) {
			t.Fatalf("form %v with error %v", got, err)
		}
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		kept := maps.Clone(got)
		for i := range body {
			body[i] = '!'
		}
		if !maps.Equal(kept, got) {
			t.Fatal("the form points into the shared buffer")
		}
		if contentType != urlencoded || err != nil || strings.Contains(string(before), ";") {
			return
		}
		want, err := url.ParseQuery(string(before))
		if err != nil {
			t.Fatalf("decoded what the standard library refuses: %v", err)
		}
		for name, values := range want {
			if got[name] != values[len(values)-1] {
				t.Fatalf("field %q is %q, want %q", name, got[name], values[len(values)-1])
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d fields, want %d", len(got), len(want))
		}
	})
}

// FuzzBothEncodings sends the same value both ways and wants the same form.
func FuzzBothEncodings(f *testing.F) {
	f.Add("[Carlos] [$100 & más] [miércoles]")
	f.Add("--b\r\n\x00=%zz+;")
	f.Fuzz(func(t *testing.T, value string) {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		if w.WriteField("v", value) != nil || w.Close() != nil {
			t.Fatal("cannot write the body")
		}
		parts, err := decodeForm(w.FormDataContentType(), body.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		pairs, err := decodeForm(urlencoded, []byte(url.Values{"v": {value}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if parts["v"] != value || pairs["v"] != value {
			t.Fatalf("%q came as %q in parts and %q in pairs", value, parts["v"], pairs["v"])
		}
	})
}
