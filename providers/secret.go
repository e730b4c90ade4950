package providers

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
)

// hiddenText is what a secret looks like everywhere but in Reveal.
const hiddenText = "[hidden]"

// Secret is a credential that does not show itself: not with any fmt verb, not in JSON, YAML, XML, text or logs. It
// reads itself from text, so that environment and YAML decoders fill it. The zero value is the empty secret.
//
// The text hangs behind a pointer because fmt does not call methods on unexported fields: printing a struct that keeps
// a plain string type there would show it.
type Secret struct{ text *string }

// NewSecret hides a text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal is the only way to the text. Every call of it deserves a look.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.text == nil }

// Equal compares two secrets in constant time for texts of equal length.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String hides the secret.
func (Secret) String() string { return hiddenText }

// Format hides the secret from every fmt verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, hiddenText) }

// LogValue hides the secret from log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(hiddenText) }

// MarshalText hides the secret from encoding/json, encoding/xml and everything else that asks for text.
func (Secret) MarshalText() ([]byte, error) { return []byte(hiddenText), nil }

// MarshalYAML hides the secret from YAML encoders.
func (Secret) MarshalYAML() (any, error) { return hiddenText, nil }

// UnmarshalText reads a secret. What a hidden secret was written as is refused: a configuration that went through an
// encoder would otherwise quietly use it as the credential.
func (s *Secret) UnmarshalText(text []byte) error {
	if string(text) == hiddenText {
		return errors.New("the secret was written hidden; put the real one or a ${VARIABLE}")
	}
	*s = NewSecret(string(text))
	return nil
}
