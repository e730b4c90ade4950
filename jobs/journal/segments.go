package journal

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// longestLine is what is read of a line; usual ones have 150 to 250 bytes.
const longestLine = 64 << 10

// segments are the files of a slot. Only the newest is written to: a new one begins with all that still counts, and the
// older ones go when that is on disk. Whatever moment a process dies at, reading what is there in order gives the same.
type segments struct {
	dir  string
	grow int64 // bytes added to a segment before the next one

	number  int
	file    *os.File
	good    int64 // length of the whole lines in it
	full    int64 // length at which the next one is due
	suspect bool  // the system may have lost some of the file: it has to be written anew
}

type segment struct {
	path   string
	number int
}

// list returns the segments in the order they were written in.
func (s *segments) list() ([]segment, error) {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var found []segment
	for _, f := range files {
		digits, ok1 := strings.CutPrefix(f.Name(), "journal-")
		digits, ok2 := strings.CutSuffix(digits, ".jsonl")
		if n, err := strconv.Atoi(digits); ok1 && ok2 && err == nil {
			found = append(found, segment{filepath.Join(s.dir, f.Name()), n})
		}
	}
	slices.SortFunc(found, func(a, b segment) int { return cmp.Compare(a.number, b.number) })
	return found, nil
}

// read gives each event of all segments, and counts the lines that make no sense.
func (s *segments) read(each func(line)) (damaged int, err error) {
	found, err := s.list()
	if err != nil {
		return 0, err
	}
	for _, g := range found {
		s.number = g.number
		f, err := os.Open(g.path)
		if err != nil {
			return damaged, err
		}
		n, err := readLines(f, each)
		_ = f.Close()
		damaged += n
		if err != nil {
			return damaged, fmt.Errorf("read %s: %w", g.path, err)
		}
	}
	return damaged, nil
}

// readLines leaves out a last line without its end: whoever wrote it was not told that it is written.
func readLines(from io.Reader, each func(line)) (damaged int, err error) {
	r := bufio.NewReaderSize(from, longestLine)
	for tooLong := false; ; {
		text, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			tooLong = true
			continue
		case errors.Is(err, io.EOF):
			return damaged, nil
		case err != nil:
			return damaged, err
		}
		if tooLong {
			damaged++
			tooLong = false
			continue
		}
		l, err := parse(text[:len(text)-1])
		switch {
		case errors.Is(err, errNewer):
			return damaged, err
		case err != nil:
			damaged++
		default:
			each(l)
		}
	}
}

// write adds whole lines, or nothing: after an error the file ends where it did before.
func (s *segments) write(text []byte, sync bool) error {
	_, err := s.file.Write(text)
	if err == nil && sync {
		if err = datasync(s.file); err != nil {
			s.suspect = true // the next sync may succeed without having written what this one could not
		}
	}
	if err != nil {
		if s.file.Truncate(s.good) != nil {
			s.suspect = true
		}
		return err
	}
	s.good += int64(len(text))
	return nil
}

// rotate begins a new segment with the lines that are carried over, and removes the older ones.
func (s *segments) rotate(carried iter.Seq[[]byte]) error {
	path := filepath.Join(s.dir, "journal-"+strconv.Itoa(s.number+1)+".jsonl")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	size, err := writeAll(f, carried)
	if err == nil {
		err = errors.Join(datasync(f), syncDir(s.dir))
	}
	if err != nil {
		_ = f.Truncate(0) // Should it stay, it must not speak after what is still written to the older one.
		_ = f.Close()
		_ = os.Remove(path)
		return err
	}
	if s.file != nil {
		_ = s.file.Close() // All that matters of it is in the new one.
	}
	s.number++
	s.file, s.good, s.full, s.suspect = f, size, size+s.grow, false
	s.clear()
	return nil
}

// clear removes the older segments. Where one cannot be removed the next rotation tries again.
func (s *segments) clear() {
	found, _ := s.list()
	for _, g := range found {
		if g.number < s.number {
			_ = os.Remove(g.path)
		}
	}
}

func writeAll(f *os.File, lines iter.Seq[[]byte]) (size int64, err error) {
	w := bufio.NewWriterSize(f, 64<<10)
	for text := range lines {
		n, err := w.Write(text)
		if size += int64(n); err != nil {
			return size, err
		}
	}
	return size, w.Flush()
}

func (s *segments) close() error {
	return errors.Join(datasync(s.file), s.file.Close())
}
