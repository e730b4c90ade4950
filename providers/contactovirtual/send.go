package contactovirtual

import (
	"cmp"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"pregon/providers"
)

// maxMessageID is how long a message id may be to be used as one. The document shows a UUID.
const maxMessageID = 128

var (
	// refundWords is the document's "sending error, return balance" (section 1): not sent, and the credit came back. An
	// error alone is no proof that nothing was sent.
	refundWords = regexp.MustCompile(`(?i)return balance`)
	errorWord   = regexp.MustCompile(`(?i)\berror`)
	noErrorWord = regexp.MustCompile(`(?i)\b(no|sin|without|ning[uú]n|0) error`)
	wordCode    = regexp.MustCompile(`\b[0-9]{4,6}\b`)
)

// reply is an answer of the send endpoint.
type reply struct {
	code, messageID string
	words           string
	refunded        bool   // it says that the message was not sent and its credit came back
	troubled        bool   // it speaks of an error where it should say "sent"
	inner           string // a gateway code found in the words or in a nested error
}

func readReply(body []byte) (reply, error) {
	raw, err := findJSON(body)
	if err != nil {
		return reply{}, err
	}
	o, err := readObject(raw)
	if err != nil {
		return reply{}, err
	}
	// Other texts may echo what we sent: a message that offers to return a balance is no refund.
	said := strings.Join(strings.Fields(o.text("status")+"; "+o.text("reason")), " ")
	return reply{
		code: o.code(), messageID: messageID(o.text("messageid")), words: o.words(), inner: innerCode(o),
		refunded: refundWords.MatchString(said),
		troubled: errorWord.MatchString(noErrorWord.ReplaceAllLiteralString(said, " ")),
	}, nil
}

// messageID drops what cannot be an id, so that the message counts as accepted without one.
func messageID(s string) string {
	if len(s) > maxMessageID || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return ""
	}
	return s
}

// innerCode finds the gateway's code in an answer whose own code does not tell: in a nested error, in a field of its
// own or in the words.
func innerCode(o object) string {
	if nested, err := readObject(o["error"]); err == nil && listed(nested.code()) {
		return nested.code()
	}
	for _, key := range []string{"errorcode", "codeerror", "codigo", "código"} {
		if code := o.text(key); listed(code) {
			return code
		}
	}
	for _, code := range wordCode.FindAllString(o.words(), -1) {
		if listed(code) {
			return code
		}
	}
	return ""
}

// listed reports whether a code is a gateway's and cannot be taken for one of the document's 1 to 8.
func listed(code string) bool {
	_, own := sendCodes[code]
	_, known := reportMeaning(code, "")
	return known && !own
}

// judgeSend decides what an answer of the send endpoint means: the message id of an accepted one ("" if it has none),
// or the classified error. A code of the tables decides whatever the HTTP status; without one the status does.
func judgeSend(a providers.Answer) (id string, failure *providers.Error) {
	r, err := readReply(a.Body)
	if err != nil {
		return "", unreadable(a, err)
	}
	success := a.Status/100 == 2
	switch {
	case r.refunded && (r.code == "1" || r.code == ""):
		return "", withWait(r.notSent(), a)
	case r.code == "1" && (r.troubled || !success && r.messageID == ""):
		return "", providers.Meaning{}.Error(r.code, r.words) // Both said: sent and not sent.
	case r.code == "1":
		return r.messageID, nil
	}
	if meaning, ok := sendMeaning(r.code, r.words, r.refunded); ok {
		return "", withWait(meaning.Error(r.code, r.words), a)
	}
	if !success {
		return "", byStatus(a, r.code, r.words)
	}
	return "", providers.Meaning{}.Error(cmp.Or(r.code, providers.CodeNoCode), r.words)
}

// notSent is the error of an answer that says "not sent, refunded" without a code of its own.
func (r reply) notSent() *providers.Error {
	if meaning, ok := reportMeaning(r.inner, r.words); ok {
		return meaning.Error(r.inner, r.words)
	}
	return ownCodes[CodeRefunded].Error(CodeRefunded, r.words)
}

// withWait adds the wait that the server asked for, if any, to a refusal for now.
func withWait(e *providers.Error, a providers.Answer) *providers.Error {
	if e.Class == providers.NotNow && e.RetryAfter == 0 {
		e.RetryAfter = a.RetryAfter()
	}
	return e
}

// unreadable classifies an answer without JSON. A code that was not even looked for cannot have been a refusal, so
// 2xx is Unknown and the rest is what the status says.
func unreadable(a providers.Answer, err error) *providers.Error {
	e := providers.ClassifyStatus(a)
	if a.Status/100 == 2 {
		e.Reason = err.Error()
	}
	return e
}

// byStatus classifies an answer with JSON whose code no table lists and whose status is not 2xx. An unlisted code is
// kept verbatim: as the code where nothing is known, in the reason where the status decides.
func byStatus(a providers.Answer, code, words string) *providers.Error {
	e := providers.ClassifyStatus(a)
	if words != "" {
		e.Reason = words
	}
	if code != "" && e.Class == providers.Unknown {
		e.Code = code
	} else if code != "" {
		e.Reason = "code " + code + ": " + e.Reason
	}
	return e
}
