// Package journal keeps what this worker did lately: each attempt it claimed, and what came of it. The ledger in Redis
// is the truth, but a Redis that loses its newest writes (a failover, a power cut) goes back in time and would give the
// same rows again. Then each worker says again what it did, from here.
//
// A journal is kept in memory, and in files where a directory is given: only those still know what a worker did that
// died together with Redis's newest writes. Files hold ids, never a person, a phone or a text.
package journal

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"pregon/internal/ledger"
)

// Entry is one attempt: a claim that was given, and what came of it once it is settled. Of the claim there is what
// names it, its tries and its deadline; of the outcome all but Suspect and, once it was read from a file, Why. Times
// are to the millisecond.
type Entry struct {
	Claim     ledger.Claim
	Outcome   ledger.Outcome // State "" while in flight, and for ever if the worker died with it
	SettledAt time.Time      // by this machine's clock
}

// Journal is safe for concurrent use. An attempt is Claimed first; when that has returned nil it is sent and Settled,
// or it is Dropped. Of each row the newest attempt is kept, which is the one of the highest fence; of all rows together
// the newest 65,536, settled ones for 24 hours. What is in flight is never let go: what a dead worker left in flight
// stays until whoever has its slot settles or drops it, or claims the row again.
type Journal struct {
	log   *slog.Logger
	slot  *slot     // nil: memory only
	files *segments // nil: memory only. The writer's alone once it runs

	mu     sync.Mutex
	work   sync.Cond // on mu: something is to be written, or Close was called
	memory memory
	next   *batch
	again  []pending // could not be written, and nobody waits for it: it goes with the next batch
	closed bool

	ended chan struct{} // closed when the writer has ended
	err   error         // what it ended with
}

// batch is written at once: while the disk is busy with one, all that happens meanwhile gathers in the next.
type batch struct {
	lines []pending
	done  chan struct{}
	err   error // after done
}

type pending struct {
	text  []byte
	claim *line // remembered when it is on disk, and forgotten by an error; nil: written sooner or later
}

var errClosed = errors.New("journal is closed")

// Open takes the first slot of the directory that no other process holds, until Close or the death of this one, and
// remembers what was written there before. The directory may be shared by any number of workers; "" is memory only.
func Open(dir string, log *slog.Logger) (*Journal, error) { return open(dir, log, usual) }

func open(dir string, log *slog.Logger, b bounds) (*Journal, error) {
	j := &Journal{log: log, memory: newMemory(b), next: newBatch(), ended: make(chan struct{})}
	j.work.L = &j.mu
	if dir == "" {
		close(j.ended)
		return j, nil
	}
	s, err := takeSlot(dir)
	if err != nil {
		return nil, fmt.Errorf("open journal in %s: %w", dir, err)
	}
	j.slot, j.files = s, &segments{dir: s.dir, grow: b.segment}
	if err := j.resume(); err != nil {
		_ = s.lock.Close()
		return nil, fmt.Errorf("open journal in %s: %w", s.dir, err)
	}
	go j.write()
	return j, nil
}

// resume reads what is there and begins a segment of its own: nothing is ever written behind somebody's torn line, and
// a directory that cannot be written to is noticed before anything is sent.
func (j *Journal) resume() error {
	damaged, err := j.files.read(func(l line) {
		j.memory.apply(l)
		j.memory.trim(time.Time{})
	})
	if err != nil {
		return err
	}
	if damaged > 0 {
		j.log.Warn("lines of the journal are damaged and left out", "slot", j.slot.dir, "lines", damaged)
	}
	return j.rotate()
}

// Name is the same for all who ever hold this slot, one after the other, and nobody else's: whoever holds it speaks for
// them. It is "" for memory only.
func (j *Journal) Name() string {
	if j.slot == nil {
		return ""
	}
	return j.slot.name
}

// Claimed notes an attempt. With a file it is on disk when this returns: no power cut can make it unknown. After an
// error nothing must be sent; the attempt is not noted, and need not be Dropped. The next call tries again.
func (j *Journal) Claimed(c ledger.Claim) error {
	l := claimLine(claimed, c)
	if !l.whole() {
		return fmt.Errorf("note row %d of campaign %s in the journal: not a claim that was given", c.Row, c.Campaign)
	}
	b, err := j.claim(&l)
	if err == nil && b != nil {
		<-b.done
		err = b.err
	}
	if err != nil {
		return fmt.Errorf("note row %d of campaign %s in the journal: %w", c.Row, c.Campaign, err)
	}
	return nil
}

// claim remembers a claim at once, or returns the batch it goes to disk with.
func (j *Journal) claim(l *line) (*batch, error) {
	var text []byte
	if j.files != nil {
		text = l.encode()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return nil, errClosed
	case j.files == nil:
		j.remember(*l)
		return nil, nil
	}
	return j.put(pending{text: text, claim: l}), nil
}

// Settled notes what came of an attempt. It is remembered at once and written soon; should that be lost, the attempt is
// in flight again. An outcome without a state says nothing and is not noted.
func (j *Journal) Settled(c ledger.Claim, o ledger.Outcome) { j.note(outcomeLine(c, o)) }

// Dropped notes that a claim was given back which provably sent nothing: it is no longer an entry. It is written soon;
// should that be lost, the attempt is in flight again.
func (j *Journal) Dropped(c ledger.Claim) { j.note(claimLine(dropped, c)) }

func (j *Journal) note(l line) {
	if !l.whole() {
		return
	}
	var text []byte
	if j.files != nil {
		text = l.encode()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.remember(l) && j.files != nil && !j.closed {
		j.put(pending{text: text})
	}
}

func (j *Journal) remember(l line) bool {
	changed := j.memory.apply(l)
	j.memory.trim(time.Now())
	return changed
}

// Campaigns returns the campaigns that have entries, in alphabetical order.
func (j *Journal) Campaigns() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.memory.trim(time.Now())
	var list []string
	for id, c := range j.memory.campaigns {
		if len(c.rows) > 0 {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}

// Entries returns the newest attempt of each row of a campaign, in the order in which they were claimed.
func (j *Journal) Entries(campaign string) []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.memory.trim(time.Now())
	c := j.memory.campaigns[campaign]
	if c == nil {
		return nil
	}
	list := make([]Entry, 0, len(c.rows))
	for _, r := range c.records() {
		list = append(list, r.entry())
	}
	return list
}

// Forgot returns zero, or when the newest of those entries of a campaign was settled that were let go to stay within
// bounds: what was settled later is still here. It is kept for good, also where there is no entry left.
func (j *Journal) Forgot(campaign string) time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.memory.trim(time.Now())
	if c := j.memory.campaigns[campaign]; c != nil {
		return moment(c.forgot)
	}
	return time.Time{}
}

// Close writes what is still to be written and gives the slot back. A second Close waits for the first and returns the
// same. Afterwards the journal can only be read.
func (j *Journal) Close() error {
	j.mu.Lock()
	j.closed = true
	j.work.Signal()
	j.mu.Unlock()
	<-j.ended
	return j.err
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// put adds to the next batch.
func (j *Journal) put(p pending) *batch {
	j.next.lines = append(j.next.lines, p)
	j.work.Signal()
	return j.next
}

// write is the one goroutine that touches the files. Callers wait for it or not; none waits for a disk under mu.
func (j *Journal) write() {
	failing := false
	var err error
	for {
		b := j.take()
		if b == nil {
			break
		}
		waited := b.waited()
		if err = j.commit(b, waited); err != nil && !waited && !failing {
			j.log.Warn("journal not written", "slot", j.slot.dir, "err", err) // Nobody else says so.
		}
		failing = err != nil
		j.finish(b, err)
	}
	if err != nil {
		err = fmt.Errorf("the end is not written: %w", err)
	}
	if err = errors.Join(err, j.files.close(), j.slot.lock.Close()); err != nil {
		j.err = fmt.Errorf("close journal in %s: %w", j.slot.dir, err)
	}
	close(j.ended)
}

// take waits for something to write, and returns nil when nothing more will come.
func (j *Journal) take() *batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.next.lines) == 0 && !j.closed {
		j.work.Wait()
	}
	b := j.next
	b.lines = append(j.again, b.lines...)
	j.next, j.again = newBatch(), nil
	if len(b.lines) == 0 {
		return nil
	}
	return b
}

// waited reports whether somebody waits for the batch to be on disk.
func (b *batch) waited() bool {
	return slices.ContainsFunc(b.lines, func(p pending) bool { return p.claim != nil })
}

func (j *Journal) commit(b *batch, sync bool) error {
	if j.files.suspect || j.files.good >= j.files.full {
		if err := j.rotate(); err != nil {
			if j.files.suspect {
				return err
			}
			j.files.full += j.files.grow / 8 // There may still be room for less than all entries at once.
			j.log.Warn("journal not shortened", "slot", j.slot.dir, "err", err)
		}
	}
	var text bytes.Buffer
	for _, p := range b.lines {
		text.Write(p.text)
	}
	return j.files.write(text.Bytes(), sync)
}

// finish remembers the claims that are on disk and tells those who wait. What nobody waited for is kept for the next
// batch, or given up if there will be none.
func (j *Journal) finish(b *batch, err error) {
	j.mu.Lock()
	for _, p := range b.lines {
		switch {
		case err == nil && p.claim != nil:
			j.remember(*p.claim)
		case err != nil && p.claim == nil && !j.closed:
			j.again = append(j.again, p)
		}
	}
	j.mu.Unlock()
	b.err = err
	close(b.done)
}

// rotate carries over all that is remembered. What happens meanwhile is written after it.
func (j *Journal) rotate() error { return j.files.rotate(j.carried()) }

func (j *Journal) carried() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		j.mu.Lock()
		j.memory.trim(time.Now())
		lines, records := j.memory.everything()
		j.mu.Unlock()
		for _, l := range lines {
			if !yield(l.encode()) {
				return
			}
		}
		for few := range slices.Chunk(records, 256) { // Nobody shall wait for all of them.
			lines = lines[:0]
			j.mu.Lock()
			for _, r := range few {
				lines = append(lines, r.line())
			}
			j.mu.Unlock()
			for _, l := range lines {
				if !yield(l.encode()) {
					return
				}
			}
		}
	}
}
