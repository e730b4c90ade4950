package campaign

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// charset is how the bytes of a text file become text.
type charset struct {
	name    string
	bom     int64             // bytes to skip at the start
	decoder encoding.Encoding // nil = the bytes are UTF-8 already
}

var (
	utf16LE = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	utf16BE = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
)

// charsetNames are the names people may give, spelled without case, hyphens and underscores.
var charsetNames = map[string]charset{
	"utf8":        {name: "utf-8"},
	"utf8bom":     {name: "utf-8"},
	"ascii":       {name: "utf-8"},
	"windows1252": {name: "windows-1252", decoder: charmap.Windows1252},
	"cp1252":      {name: "windows-1252", decoder: charmap.Windows1252},
	"ansi":        {name: "windows-1252", decoder: charmap.Windows1252},
	"latin1":      {name: "windows-1252", decoder: charmap.Windows1252},
	"iso88591":    {name: "windows-1252", decoder: charmap.Windows1252},
	"utf16":       {name: "utf-16le", decoder: utf16LE},
	"utf16le":     {name: "utf-16le", decoder: utf16LE},
	"unicode":     {name: "utf-16le", decoder: utf16LE},
	"utf16be":     {name: "utf-16be", decoder: utf16BE},
	"cp850":       {name: "cp850", decoder: charmap.CodePage850},
	"ibm850":      {name: "cp850", decoder: charmap.CodePage850},
	"macintosh":   {name: "macintosh", decoder: charmap.Macintosh},
	"macroman":    {name: "macintosh", decoder: charmap.Macintosh},
}

// census is what one pass over the bytes of a text file finds out. The whole file is looked at: it may be plain ASCII
// for 100,000 rows and have its first ñ at the end.
type census struct {
	size       int64
	bytes      [256]int64
	evenNULs   int64
	oddNULs    int64
	sequences  int64 // valid UTF-8 sequences of two bytes or more
	broken     int64 // bytes that are not UTF-8
	brokenLine int   // line of the first of them
}

func takeCensus(in Input) (*census, error) {
	c := &census{size: in.Size}
	buf := make([]byte, 64<<10)
	r := io.NewSectionReader(in.R, 0, in.Size)
	line, carried := 1, 0
	for offset := int64(0); ; {
		n, err := io.ReadFull(r, buf[carried:])
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, &FileError{Code: "unreadable", Err: err}
		}
		last := err != nil
		c.count(buf[carried:carried+n], offset)
		offset += int64(n)
		rest := c.validate(buf[:carried+n], &line, last)
		carried = copy(buf, rest)
		if last {
			break
		}
	}
	if got := c.total(); got != in.Size {
		return nil, &FileError{Code: "unreadable", Err: io.ErrUnexpectedEOF}
	}
	return c, nil
}

func (c *census) total() (n int64) {
	for _, count := range c.bytes {
		n += count
	}
	return n
}

func (c *census) count(b []byte, offset int64) {
	for i, v := range b {
		c.bytes[v]++
		if v == 0 {
			if (offset+int64(i))%2 == 0 {
				c.evenNULs++
			} else {
				c.oddNULs++
			}
		}
	}
}

// validate checks b as UTF-8 and returns the bytes of an unfinished sequence at its end, for the next chunk.
func (c *census) validate(b []byte, line *int, last bool) []byte {
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			n := bytes.IndexFunc(b, func(r rune) bool { return r >= utf8.RuneSelf })
			if n < 0 {
				n = len(b)
			}
			*line += countLines(b[:n])
			b = b[n:]
			continue
		}
		if !last && !utf8.FullRune(b) {
			return b
		}
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			if c.broken++; c.broken == 1 {
				c.brokenLine = *line
			}
		} else {
			c.sequences++
		}
		b = b[n:]
	}
	return nil
}

func countLines(b []byte) int {
	if n := bytes.Count(b, []byte{'\n'}); n > 0 {
		return n
	}
	return bytes.Count(b, []byte{'\r'})
}

// charsetOf decides for the whole file: what was asked for, the byte order mark, zero bytes in every other place,
// valid UTF-8, and else the single-byte set under which the other bytes look most like Spanish.
func charsetOf(c *census, head []byte, asked string) (charset, error) {
	if asked != "" {
		return askedCharset(c, head, asked)
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xEF\xBB\xBF")):
		return utf8OrError(c, 3)
	case bytes.HasPrefix(head, []byte("\xFF\xFE")):
		return wholeUnits(c, charset{name: "utf-16le", bom: 2, decoder: utf16LE})
	case bytes.HasPrefix(head, []byte("\xFE\xFF")):
		return wholeUnits(c, charset{name: "utf-16be", bom: 2, decoder: utf16BE})
	}
	if nuls := c.evenNULs + c.oddNULs; nuls > 0 {
		// Western text in UTF-16 has a zero byte in nearly every other place, always on the same side.
		switch {
		case c.oddNULs*5 > c.size && c.evenNULs*100 < c.oddNULs:
			return wholeUnits(c, charset{name: "utf-16le", decoder: utf16LE})
		case c.evenNULs*5 > c.size && c.oddNULs*100 < c.evenNULs:
			return wholeUnits(c, charset{name: "utf-16be", decoder: utf16BE})
		}
		return charset{}, &FileError{Code: "binary"}
	}
	if c.broken == 0 || c.sequences >= c.broken {
		return utf8OrError(c, 0)
	}
	return c.singleByte(), nil
}

func askedCharset(c *census, head []byte, asked string) (charset, error) {
	name := strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(asked))
	cs, ok := charsetNames[name]
	if !ok {
		return charset{}, &FileError{Code: "encoding_unknown", Args: map[string]string{"encoding": clip(asked)}}
	}
	switch {
	case cs.decoder == nil && bytes.HasPrefix(head, []byte("\xEF\xBB\xBF")):
		return utf8OrError(c, 3)
	case cs.decoder == nil:
		return utf8OrError(c, 0)
	case cs.decoder == utf16LE && name == "utf16" && bytes.HasPrefix(head, []byte("\xFE\xFF")):
		return wholeUnits(c, charset{name: "utf-16be", bom: 2, decoder: utf16BE})
	case cs.decoder == utf16LE && bytes.HasPrefix(head, []byte("\xFF\xFE")),
		cs.decoder == utf16BE && bytes.HasPrefix(head, []byte("\xFE\xFF")):
		cs.bom = 2
		return wholeUnits(c, cs)
	case cs.decoder == utf16LE || cs.decoder == utf16BE:
		return wholeUnits(c, cs)
	}
	return cs, nil
}

// utf8OrError refuses a file that is UTF-8 in most places and something else in others: whichever way it were read,
// some names would come out wrong.
func utf8OrError(c *census, bom int64) (charset, error) {
	if c.broken > 0 {
		return charset{}, &FileError{Code: "encoding_mixed", Args: number("line", c.brokenLine)}
	}
	return charset{name: "utf-8", bom: bom}, nil
}

func wholeUnits(c *census, cs charset) (charset, error) {
	if c.size%2 != 0 {
		return charset{}, &FileError{Code: "utf16_cut"}
	}
	return cs, nil
}

// singleByte picks among the sets that Excel's "Guardar como" menu writes in a Spanish Windows, DOS or Macintosh.
// Windows-1252 wins ties.
func (c *census) singleByte() charset {
	best, bestScore := charsetNames["windows1252"], int64(math.MinInt64)
	for _, name := range []string{"windows1252", "cp850", "macintosh"} {
		cs, score := charsetNames[name], int64(0)
		for b := 0x80; b <= 0xFF; b++ {
			text, err := cs.decoder.NewDecoder().Bytes([]byte{byte(b)})
			if err != nil {
				continue
			}
			score += c.bytes[b] * likelihood(string(text))
		}
		if score > bestScore {
			best, bestScore = cs, score
		}
	}
	return best
}

// likelihood says how usual a character beyond ASCII is in a Spanish contact list.
func likelihood(s string) int64 {
	switch {
	case strings.ContainsAny(s, "áéíóúñüÁÉÍÓÚÑÜ"):
		return 4
	case strings.ContainsAny(s, "¡¿°ºª€“”‘’–—\u00a0«»·"):
		return 1
	case strings.ContainsAny(s, "àèìòùâêîôûäëïöçãõÀÈÌÒÙÂÊÎÔÛÄËÏÖÇÃÕ"):
		return 0
	default:
		return -4
	}
}

// reader returns the text of the file as UTF-8 without its byte order mark.
func (cs charset) reader(in Input) io.Reader {
	r := io.Reader(io.NewSectionReader(in.R, cs.bom, in.Size-cs.bom))
	if cs.decoder != nil {
		r = cs.decoder.NewDecoder().Reader(r)
	}
	return r
}
