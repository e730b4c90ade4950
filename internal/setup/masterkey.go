package setup

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pregon/internal/config"
	"pregon/internal/ledger"
)

// ErrNoMasterKey means that a Redis elsewhere is used without a MASTER_KEY: a key that only this machine has would
// leave the other workers without access to the pages.
var ErrNoMasterKey = errors.New("MASTER_KEY is not set, and Redis is not on this machine: set the same MASTER_KEY " +
	"(openssl rand -hex 32) for every program that uses this Redis")

// masterKey finds the key that wraps the campaigns' keys: the configured one; for a Redis in the process a key that
// dies with it; for a Redis on this machine a file that is made once.
func masterKey(cfg *config.Config, embedded bool, userConfigDir string) ([]byte, error) {
	if !cfg.MasterKey.IsZero() {
		return []byte(cfg.MasterKey.Reveal()), nil
	}
	if embedded {
		return newKey(), nil
	}
	url, err := config.ParseRedisURL(cfg.RedisURL.Reveal())
	if err != nil {
		return nil, err
	}
	if !url.Loopback() {
		return nil, ErrNoMasterKey
	}
	if userConfigDir == "" {
		if userConfigDir, err = os.UserConfigDir(); err != nil {
			return nil, fmt.Errorf("find a place for the master key (or set MASTER_KEY): %w", err)
		}
	}
	if !filepath.IsAbs(userConfigDir) { // programs started in different places would have different keys
		return nil, errors.New("XDG_CONFIG_HOME is not an absolute path: set it to one, or set MASTER_KEY")
	}
	return keyFile(filepath.Join(userConfigDir, "pregon", "master.key"))
}

// UserConfigDir is where environ wants the configuration of a user to be; "" leaves that to the operating system. Every
// program asks here, so that they find the same key.
func UserConfigDir(environ []string) string {
	for _, entry := range slices.Backward(environ) {
		if dir, ok := strings.CutPrefix(entry, "XDG_CONFIG_HOME="); ok {
			return dir
		}
	}
	return ""
}

func newKey() []byte {
	key := make([]byte, ledger.KeySize)
	_, _ = rand.Read(key) // never fails since Go 1.24
	return key
}

// keyFile reads the key, or makes it when there is none. Two programs that start at once agree: a key is written
// aside whole and linked into place, and the link fails for the second.
func keyFile(path string) ([]byte, error) {
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the master key's directory (or set MASTER_KEY): %w", err)
	}
	aside, err := os.CreateTemp(filepath.Dir(path), "master.key.*")
	if err != nil {
		return nil, fmt.Errorf("make the master key (or set MASTER_KEY): %w", err)
	}
	defer func() { _ = os.Remove(aside.Name()) }()
	_, err = aside.WriteString(hex.EncodeToString(newKey()) + "\n")
	if err = errors.Join(err, aside.Sync(), aside.Close()); err != nil {
		return nil, fmt.Errorf("write the master key: %w", err)
	}
	if err := os.Link(aside.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("keep the master key: %w", err)
	}
	return readKey(path)
}

func readKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != ledger.KeySize {
		return nil, fmt.Errorf("the master key in %s is not %d bytes of hex: restore it, or the campaigns launched with "+
			"it cannot be read", path, ledger.KeySize)
	}
	return key, nil
}
