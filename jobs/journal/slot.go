package journal

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// errTaken means that another process, or another journal of this one, holds the slot.
var errTaken = errors.New("slot is taken")

// mostSlots is far more than the workers that share a volume.
const mostSlots = 1024

// slot is one worker's place in the shared directory. Whoever holds its lock is who its name says, and answers for what
// was written there before. The system gives the lock back when the process dies.
type slot struct {
	dir  string
	name string
	lock *os.File
}

// takeSlot takes the first one that nobody holds.
func takeSlot(dir string) (*slot, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory: %w", err)
	}
	for n := range mostSlots {
		s := &slot{dir: filepath.Join(dir, strconv.Itoa(n))}
		if err := os.Mkdir(s.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make slot %d: %w", n, err)
		}
		var err error
		s.lock, err = lockFile(filepath.Join(s.dir, "lock"))
		if errors.Is(err, errTaken) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("lock slot %d: %w", n, err)
		}
		if err := s.identify(dir); err != nil {
			_ = s.lock.Close()
			return nil, fmt.Errorf("name slot %d: %w", n, err)
		}
		return s, nil
	}
	return nil, fmt.Errorf("all %d slots are taken", mostSlots)
}

var nameShape = regexp.MustCompile(`^[0-9a-f]{16}$`)

// identify reads the slot's name, or gives it one that a power cut cannot take back or leave half written.
func (s *slot) identify(dir string) error {
	path := filepath.Join(s.dir, "name")
	text, err := os.ReadFile(path)
	if err == nil {
		if s.name = strings.TrimSpace(string(text)); !nameShape.MatchString(s.name) {
			return fmt.Errorf("%s is damaged: it should hold 16 hexadecimal digits", path)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	s.name = hex.EncodeToString(b[:])
	if err := writeSynced(path+".new", s.name+"\n"); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return errors.Join(syncDir(s.dir), syncDir(dir))
}

func writeSynced(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
