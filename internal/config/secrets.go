package config

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"pregon/providers"
)

// maxFile bounds what is read of a configuration file, in bytes. It is far above any real one.
const maxFile = 1 << 20

// masterKeyBytes is the length of the master key: that of an AES-256 key.
const masterKeyBytes = 32

func readSmall(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	return data, nil
}

// secret returns the value of the variable called name, or what is in the file that <name>_FILE names. Both empty is no
// error: whether a secret is needed is the caller's to say. Complaints name the variable and never show its value.
func (l *loader) secret(name, value, file string) (providers.Secret, error) {
	if value != "" && file != "" {
		return providers.Secret{}, fmt.Errorf("%s: both it and %s_FILE are set; unset one of them", name, name)
	}
	if file == "" {
		s, err := cleanSecret(value)
		if err != nil {
			return providers.Secret{}, fmt.Errorf("%s: %w", name, err)
		}
		return s, nil
	}
	s, err := l.secretFile(file)
	if err != nil {
		return providers.Secret{}, fmt.Errorf("%s_FILE: %w", name, err)
	}
	return s, nil
}

// secretFile reads a secret as Docker, Kubernetes and text editors leave it: usually with a newline behind it.
func (l *loader) secretFile(path string) (providers.Secret, error) {
	data, err := l.read(path)
	if err != nil {
		return providers.Secret{}, fmt.Errorf("the file cannot be read; name one that this process may read: %w", err)
	}
	s, err := cleanSecret(string(data))
	if err != nil {
		return providers.Secret{}, fmt.Errorf("the file %s: %w", path, err)
	}
	if s.IsZero() {
		return providers.Secret{}, fmt.Errorf("the file %s is empty; write the secret into it", path)
	}
	return s, nil
}

// cleanSecret removes the newline at the end, and refuses what cannot be one line of credentials: a wrong file, or two
// secrets in one, would otherwise only show as a refused login much later.
func cleanSecret(s string) (providers.Secret, error) {
	s = strings.TrimRight(s, "\r\n")
	if strings.ContainsFunc(s, unicode.IsControl) {
		return providers.Secret{}, errors.New("the secret has several lines or control characters; give it as one line")
	}
	if s != strings.TrimSpace(s) {
		return providers.Secret{}, errors.New("the secret begins or ends with a space; remove it")
	}
	return providers.NewSecret(s), nil
}

// decodeKey reads a key of 32 bytes written as hex or as base64 of any kind.
func decodeKey(s string) (providers.Secret, error) {
	if key, err := hex.DecodeString(s); err == nil && len(key) == masterKeyBytes {
		return providers.NewSecret(string(key)), nil
	}
	unpadded := strings.TrimRight(s, "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if key, err := encoding.DecodeString(unpadded); err == nil && len(key) == masterKeyBytes {
			return providers.NewSecret(string(key)), nil
		}
	}
	return providers.Secret{}, errors.New("it is not 32 bytes, written as hex (64 characters) " +
		"or base64 (44 characters); make a key with: openssl rand -hex 32")
}
