package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// appendOnlyFile finds the part of the append-only file that Redis writes to: the incremental file with the highest
// number.
func appendOnlyFile(dir string) (string, error) {
	parts, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.incr.aof"))
	if err != nil {
		return "", err
	}
	if len(parts) == 0 {
		return "", fmt.Errorf("no incremental append-only file in %s: %w", dir, fs.ErrNotExist)
	}
	number := func(path string) int {
		base := strings.TrimSuffix(filepath.Base(path), ".incr.aof")
		n, _ := strconv.Atoi(base[strings.LastIndexByte(base, '.')+1:]) // no number counts as the lowest
		return n
	}
	return slices.MaxFunc(parts, func(a, b string) int { return number(a) - number(b) }), nil
}

// cutTail shortens an append-only file by at least n bytes and returns by how many. Unless the cut is torn it lies
// between transactions, as what a failover loses does; a torn one lies in the middle of a transaction, as what a power
// cut leaves may, and behind an HINCRBY: what was counted has not been written yet.
func cutTail(path string, n int, torn bool) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	at, wanted := 0, max(len(text)-n, 0)
	const torso = 7 // bytes of a command that say that there is one, and not which
	err = eachBoundary(text, func(place, queued int, last string) {
		switch {
		case place > wanted:
		case torn && queued > 1 && strings.EqualFold(last, "hincrby") && place+torso < len(text):
			at = place + torso
		case !torn && queued == 0:
			at = place
		}
	})
	if err != nil {
		return 0, err
	}
	return len(text) - at, os.Truncate(path, int64(at))
}

// eachBoundary walks the places between the commands of an append-only file. Each comes with the number of commands
// before it that belong to a transaction which is not complete there, MULTI among them, and with the name of the last
// one. A command that the file's end cuts off has no place behind it.
func eachBoundary(text []byte, visit func(place, queued int, last string)) error {
	queued := 0
	for at := 0; at < len(text); {
		if text[at] == '#' { // a time that Redis may note
			line := bytes.IndexByte(text[at:], '\n')
			if line < 0 {
				return nil
			}
			at += line + 1
			continue
		}
		end, name, err := commandEnd(text, at)
		if err != nil || end < 0 {
			return err
		}
		switch {
		case strings.EqualFold(name, "multi"):
			queued = 1
		case strings.EqualFold(name, "exec"):
			queued = 0
		case queued > 0:
			queued++
		}
		visit(end, queued, name)
		at = end
	}
	return nil
}

var errNoCommand = errors.New("the append-only file has something else than commands in it")

// commandEnd finds where the command at a place ends, and its name; end < 0 when the file ends before.
func commandEnd(text []byte, at int) (end int, name string, err error) {
	parts, at, err := aofNumber(text, at, '*')
	if err != nil || at < 0 {
		return -1, "", err
	}
	for part := range parts {
		var length int
		if length, at, err = aofNumber(text, at, '$'); err != nil || at < 0 {
			return -1, "", err
		}
		if at+length+2 > len(text) {
			return -1, "", nil
		}
		if part == 0 {
			name = string(text[at : at+length])
		}
		at += length + 2
	}
	return at, name, nil
}

// aofNumber reads a line such as "*3" and returns where the next begins, below 0 when the file ends before.
func aofNumber(text []byte, at int, kind byte) (number, next int, err error) {
	if at < len(text) && text[at] != kind {
		return 0, 0, errNoCommand
	}
	length := bytes.Index(text[at:], []byte("\r\n"))
	if length < 0 {
		return 0, -1, nil
	}
	if number, err = strconv.Atoi(string(text[at+1 : at+length])); err != nil {
		return 0, 0, errNoCommand
	}
	return number, at + length + 2, nil
}
