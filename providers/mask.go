package providers

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxReason is how many runes of a provider's words are kept.
const maxReason = 200

// longNumber is seven digits or more, also when written with the separators that people put into phone numbers.
var longNumber = regexp.MustCompile(`\p{Nd}(?:[ ().\-]{0,2}\p{Nd}){6,}`)

// Mask makes a provider's words fit to be stored and shown: the given private texts (credentials, a person's values)
// and every number of seven digits or more become ***, line breaks and control characters become spaces, and the result
// is valid UTF-8 of at most 200 runes. Private texts of fewer than three runes are left: they would hide everything.
func Mask(text string, private ...string) string {
	text = oneLine(text)
	if re := anyOf(private); re != nil {
		text = re.ReplaceAllLiteralString(text, "***")
	}
	text = longNumber.ReplaceAllLiteralString(text, "***")
	return cut(text, maxReason)
}

// oneLine makes every run of spaces, line breaks and control characters one space.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
}

// anyOf matches any of the texts, the longest first so that a text inside another leaves no rest, whatever the case.
func anyOf(texts []string) *regexp.Regexp {
	var parts []string
	for _, text := range texts {
		if text = oneLine(text); utf8.RuneCountInString(text) >= 3 {
			parts = append(parts, text)
		}
	}
	if len(parts) == 0 {
		return nil
	}
	slices.SortFunc(parts, func(a, b string) int { return len(b) - len(a) })
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(part)
	}
	return regexp.MustCompile(`(?i)` + strings.Join(parts, "|"))
}

// cut keeps the first n runes.
func cut(text string, n int) string {
	for i := range text {
		if n == 0 {
			return text[:i]
		}
		n--
	}
	return text
}
