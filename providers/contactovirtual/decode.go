package contactovirtual

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"unicode"
)

// The backend is PHP: the content type may say text/html, and a byte order mark, warnings or blanks may stand around
// the JSON. A mistake here would be dear, since a refusal read into an accepted answer sends the message again, so
// whatever could be read in two ways is not read at all.
var (
	jsonStart = regexp.MustCompile(`\{\s*"|\[\s*\{`)
	htmlPage  = regexp.MustCompile(`(?i)<(!doctype|html|head|body|script|title)\b`)

	errNotJSON   = errors.New("no JSON in the answer")
	errTwoValues = errors.New("more than one JSON value in the answer")
	errConflict  = errors.New("the answer gives one key two values")
	errShape     = errors.New("the answer's JSON has another shape")
)

// findJSON gives the one JSON object or array of an answer. An HTML page is not searched: its scripts may hold JSON
// that means something else. A value that begins and does not end is not searched for inner ones.
func findJSON(body []byte) (json.RawMessage, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), []byte("\uFEFF")))
	if s := string(body); s == "{}" || s == "[]" {
		return body, nil
	}
	at := jsonStart.FindIndex(body)
	if at == nil || htmlPage.Match(body[:at[0]]) {
		return nil, errNotJSON
	}
	decoder := json.NewDecoder(bytes.NewReader(body[at[0]:]))
	var raw json.RawMessage
	if err := decoder.Decode(&raw); err != nil {
		return nil, errNotJSON
	}
	if jsonStart.Match(body[at[0]+int(decoder.InputOffset()):]) {
		return nil, errTwoValues
	}
	return raw, nil
}

// object is a JSON object whose keys are reduced to letters and digits in lower case: the document itself spells
// messageId also "&messageId".
type object map[string]json.RawMessage

// readObject reads an object, and refuses one that gives a key two different values.
func readObject(raw json.RawMessage) (object, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, errShape
	}
	o := object{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, errNotJSON
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, errNotJSON
		}
		key := plainKey(name.(string))
		if earlier, twice := o[key]; twice && !bytes.Equal(earlier, value) {
			return nil, errConflict
		}
		o[key] = value
	}
	return o, nil
}

func plainKey(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// text is the first of the keys that holds a string with something in it, or a number, without surrounding blanks.
func (o object) text(keys ...string) string {
	for _, key := range keys {
		if s := scalar(o[key]); s != "" {
			return s
		}
	}
	return ""
}

// scalar is a JSON string's or number's text, trimmed; anything else is "".
func scalar(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	if raw[0] == '"' {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return ""
		}
		return strings.TrimSpace(s)
	}
	if raw[0] == '-' || (raw[0] >= '0' && raw[0] <= '9') {
		return string(raw)
	}
	return ""
}

// code is the answer's code without quotes and blanks: the document shows a number, and strings have been seen. null
// and "" are no code; what is neither text nor number is kept as it stands, so that it is shown and never matches.
func (o object) code() string {
	raw := o["code"]
	if s := scalar(raw); s != "" {
		return s
	}
	if len(raw) == 0 || raw[0] == '"' || string(raw) == "null" {
		return ""
	}
	return string(raw)
}

// wordKeys is where prose has been seen, the most telling first.
var wordKeys = []string{
	"reason", "description", "descripcion", "descripción", "error", "message", "mensaje", "status",
}

// words is what the provider says in prose, each text once.
func (o object) words() string {
	var said []string
	for _, key := range wordKeys {
		if s := o.text(key); s != "" && !strings.Contains(strings.Join(said, "; "), s) {
			said = append(said, s)
		}
	}
	return strings.Join(said, "; ")
}
