package campaign

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
	"strconv"
)

// Check goes once through the file, marks duplicates, counts and hashes, and hands every row to each (nil = nobody).
// each may keep what it is given. An error of each ends the pass and is returned as it is; an error of the file is a
// *FileError, and then the rows handed out so far must not be used.
func Check(f *File, each func(*Recipient) error) (Report, error) {
	c := checker{report: Report{Layout: f.Layout(), Codes: map[string]int{}}, hash: sha256.New(),
		keep: f.judge.spec.KeepDuplicates, countries: map[string]bool{}}
	for r, err := range f.Recipients() {
		if err != nil {
			return Report{}, err
		}
		c.duplicates(&r)
		c.count(&r)
		c.sum(&r)
		if each != nil {
			if err := each(&r); err != nil {
				return Report{}, err
			}
		}
	}
	if c.report.Rows == 0 {
		return Report{}, &FileError{Code: "no_rows", Args: number("row", f.judge.plan.first-1)}
	}
	c.report.Hash = hex.EncodeToString(c.hash.Sum(nil))
	c.report.Countries = slices.Sorted(maps.Keys(c.countries))
	return c.report, nil
}

type checker struct {
	report Report
	seen   phoneRows
	hash   hash.Hash
	buf    []byte
	keep   bool

	countries map[string]bool
}

// duplicates leaves out all but the first row of a phone. A row that is not valid is no first: otherwise a wrong row
// would keep the right one from being sent.
func (c *checker) duplicates(r *Recipient) {
	if r.Status != Valid {
		return
	}
	first, twice := c.seen.add(r.Phone, r.Row)
	if !twice {
		return
	}
	level := Warning
	if !c.keep {
		level, r.Status = Skip, Skipped
	}
	r.Problems = append(r.Problems, Problem{Row: r.Row, Column: c.report.Layout.Columns.Phone.Header, Value: r.Phone,
		Code: "duplicate", Level: level, Args: map[string]string{"first": strconv.Itoa(first)}})
}

func (c *checker) count(r *Recipient) {
	rep := &c.report
	rep.Rows++
	rep.LastRow = r.Row
	switch r.Status {
	case Valid:
		c.countries[r.Country] = true
		if rep.Valid++; len(rep.Sample) < 3 {
			rep.Sample = append(rep.Sample, *r)
		}
	case Skipped:
		rep.Skipped++
	default:
		rep.Invalid++
	}
	for _, p := range r.Problems {
		rep.Codes[p.Code]++
		if p.Level == Warning {
			rep.Warnings++
		}
		if len(rep.Problems) < MaxProblems {
			rep.Problems = append(rep.Problems, p)
		} else {
			rep.ProblemsOmitted++
		}
	}
}

// sum adds a row to the hash. Every text is preceded by its length, so that no two different rows look alike.
func (c *checker) sum(r *Recipient) {
	b := binary.AppendUvarint(c.buf[:0], uint64(r.Row))
	b = append(b, byte(r.Status))
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	text(r.Phone)
	b = binary.AppendUvarint(b, uint64(len(r.Vars)))
	for _, v := range r.Vars {
		text(v)
	}
	text(r.Media)
	text(r.CustomField)
	c.hash.Write(b)
	c.buf = b
}

// phoneRows remembers the row of every phone in 12 bytes or so each: a million contacts must be checked in 64 MB. A
// phone has at most 15 digits (E.164), and so is a number itself. The table is cut into parts that grow one by one,
// so that growing never doubles the memory.
type phoneRows struct {
	parts [256]phonePart
}

type phonePart struct {
	phones []uint64 // 0 = free; linear probing
	rows   []uint32
	used   int
}

// add remembers the row of a phone, or returns the one that had it before.
func (p *phoneRows) add(phone string, row int) (first int, twice bool) {
	key, err := strconv.ParseUint(phone, 10, 64)
	if err != nil || key == 0 {
		return 0, false // not a phone; parsePhone never lets it get here
	}
	mixed := key * 0x9E3779B97F4A7C15
	part := &p.parts[mixed>>56]
	if part.used*4 >= len(part.phones)*3 {
		part.grow()
	}
	return part.add(key, uint32(row))
}

func (p *phonePart) add(key uint64, row uint32) (int, bool) {
	mask := uint64(len(p.phones) - 1)
	for i := (key * 0x9E3779B97F4A7C15 >> 20) & mask; ; i = (i + 1) & mask {
		switch p.phones[i] {
		case key:
			return int(p.rows[i]), true
		case 0:
			p.phones[i], p.rows[i] = key, row
			p.used++
			return 0, false
		}
	}
}

func (p *phonePart) grow() {
	old := *p
	size := max(16, 2*len(old.phones))
	*p = phonePart{phones: make([]uint64, size), rows: make([]uint32, size)}
	for i, key := range old.phones {
		if key != 0 {
			p.add(key, old.rows[i])
		}
	}
}
