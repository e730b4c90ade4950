package campaign

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// cleaned is a value made fit for a template, and what had to be changed for it.
type cleaned struct {
	text     string
	spaces   bool // line breaks, tabs or several blanks became one
	brackets bool // [ ] became ( )
	damaged  bool // holds U+FFFD: a letter was lost before the file came here
	garbled  bool // looks like UTF-8 that was read as Windows-1252 ("MarÃ­a")
}

// cleanValue normalises a value (NFC), takes away control and zero-width characters and blanks at both ends, and
// makes every run of blanks one. WhatsApp refuses variables with line breaks, tabs or many blanks; a bracket inside
// a value would end it, because contacto-virtual takes variables as [a] [b] (contacto-virtual document, section 1).
func cleanValue(s string, noBrackets bool) cleaned {
	if ordinary(s) {
		return cleaned{text: s}
	}
	out := cleaned{damaged: strings.ContainsRune(s, utf8.RuneError), garbled: looksGarbled(s)}
	var b strings.Builder
	gap := 0 // blanks since the last character: 1 = a plain one, 2 = anything that changes when written as one
	for _, r := range norm.NFC.String(s) {
		switch {
		case unicode.IsSpace(r):
			if r == ' ' || r == '\u00a0' {
				gap++
			} else {
				gap += 2
			}
			continue
		case unicode.IsControl(r), r == '\ufeff', r == '\u200b', r == '\u2060':
			continue
		}
		if gap > 0 && b.Len() > 0 {
			b.WriteByte(' ')
			out.spaces = out.spaces || gap > 1
		}
		gap = 0
		if noBrackets && (r == '[' || r == ']') {
			out.brackets = true
			r = map[rune]rune{'[': '(', ']': ')'}[r]
		}
		b.WriteRune(r)
	}
	out.text = b.String()
	return out
}

// ordinary reports text that needs no cleaning: printable ASCII, single inner blanks, no brackets.
func ordinary(s string) bool {
	blank := true // a blank at the start needs cleaning
	for i := range len(s) {
		b := s[i]
		if b < ' ' || b > '~' || b == '[' || b == ']' || b == ' ' && blank {
			return false
		}
		blank = b == ' '
	}
	return s == "" || !blank
}

// looksGarbled reports the pairs that UTF-8 letters become when they are read as Windows-1252.
func looksGarbled(s string) bool {
	for i, r := range s {
		if r != 'Ã' && r != 'Â' {
			continue
		}
		next, _ := utf8.DecodeRuneInString(s[i+len("Ã"):])
		if next >= 0x80 && next <= 0xBF || r == 'Ã' && strings.ContainsRune("±³©º¡‘“\u00ad", next) {
			return true
		}
	}
	return false
}

// clip cuts what a person will see again to 80 runes on one line.
func clip(s string) string {
	s = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s), "�")
	if utf8.RuneCountInString(s) <= 80 {
		return s
	}
	return string([]rune(s)[:79]) + "…"
}
