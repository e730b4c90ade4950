package contactovirtual

import (
	"bytes"
	"mime/multipart"
	"net/url"
	"strings"
	"unicode"

	"pregon/providers"
)

// The two encodings of a send. The document shows form-data for the send and x-www-form-urlencoded for the balance; the
// server takes both for both.
const (
	encodingForm      = "form"
	encodingMultipart = "multipart"
)

const (
	maxCustomField = 1000 // runes, document section 1
	referenceRoom  = 100  // runes of custom_field kept for customPrefix, reference and separator
	customPrefix   = "p1" // version of our layout of custom_field
)

// field is one parameter of a POST.
type field struct{ name, value string }

func (c *Client) credentials() []field {
	return []field{{"login", c.login.Reveal()}, {"token", c.token.Reveal()}}
}

// sendFields is the parameters of document section 1, in its order; optional ones are left out when empty, and
// template_variables when the template has none.
func (c *Client) sendFields(m providers.Message) []field {
	fields := append(c.credentials(), field{"id_template", m.Template})
	if len(m.Vars) > 0 {
		fields = append(fields, field{"template_variables", templateVariables(m.Vars)})
	}
	fields = append(fields, field{"mobile", m.To})
	if m.MediaURL != "" {
		fields = append(fields, field{"media", m.MediaURL})
	}
	if m.Ref != "" || m.CustomField != "" {
		fields = append(fields, field{"custom_field", customField(m.Ref, m.CustomField)})
	}
	return fields
}

// templateVariables writes values as "[v1] [v2]". The document knows no escape, so a bracket inside a value becomes a
// parenthesis: it would otherwise add or swallow a variable (code 8). Line breaks, tabs and other control characters
// become spaces: WhatsApp refuses them in a value. Everything else, such as the $ of an amount, goes as it is.
func templateVariables(values []string) string {
	var b strings.Builder
	for i, value := range values {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteByte('[')
		b.WriteString(strings.Map(variableRune, value))
		b.WriteByte(']')
	}
	return b.String()
}

func variableRune(r rune) rune {
	switch {
	case r == '[':
		return '('
	case r == ']':
		return ')'
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return ' '
	}
	return r // strings.Map gives broken UTF-8 as U+FFFD
}

// customField is "p1|<reference>|<the user's text>", at most 1,000 runes; the end of the user's text is what gives way.
func customField(ref, text string) string {
	runes := []rune(customPrefix + "|" + ref + "|" + text)
	return string(runes[:min(len(runes), maxCustomField)])
}

// encode writes a request body and its content type.
func encode(encoding string, fields []field) (contentType string, body []byte) {
	if encoding == encodingMultipart {
		return encodeMultipart(fields)
	}
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(f.name + "=" + url.QueryEscape(f.value))
	}
	return "application/x-www-form-urlencoded", []byte(b.String())
}

func encodeMultipart(fields []field) (contentType string, body []byte) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range fields {
		// A bytes.Buffer takes every write, so there is no error to hand on.
		_ = w.WriteField(f.name, f.value)
	}
	_ = w.Close()
	return w.FormDataContentType(), b.Bytes()
}
