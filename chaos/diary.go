package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// diary is the record of one run, one JSON object per line: what was done to the programs, and when.
type diary struct {
	mu    sync.Mutex
	file  *os.File
	begin time.Time
	echo  func(line string) // nil = the file only
	lost  error             // the first failure to write: a run without its record proves nothing
}

func newDiary(path string, echo func(string)) (*diary, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &diary{file: f, begin: time.Now(), echo: echo}, nil
}

// note writes one event. Details come in pairs: a name and a value.
func (d *diary) note(event string, details ...any) {
	at := time.Since(d.begin)
	record := map[string]any{"at_ms": at.Milliseconds(), "event": event}
	for i := 0; i+1 < len(details); i += 2 {
		value := details[i+1]
		if err, ok := value.(error); ok {
			value = err.Error()
		}
		record[fmt.Sprint(details[i])] = value
	}
	line, err := json.Marshal(record)
	if err != nil {
		line, _ = json.Marshal(map[string]any{"at_ms": at.Milliseconds(), "event": event, "unreadable": err.Error()})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.file.Write(append(line, '\n')); err != nil && d.lost == nil {
		d.lost = err
	}
	if d.echo != nil {
		d.echo(string(line))
	}
}

// now is the time since the run began; everything a run records is measured by it.
func (d *diary) now() time.Duration { return time.Since(d.begin) }

func (d *diary) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.file.Close(); d.lost == nil {
		d.lost = err
	}
	return d.lost
}
