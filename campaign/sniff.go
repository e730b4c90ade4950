package campaign

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
)

// sniffLen is how much of a file's start is looked at to tell what it is.
const sniffLen = 4 << 10

// readHead returns the start of the file, and a FileError for what cannot be a spreadsheet by its size alone.
func readHead(in Input) ([]byte, error) {
	if in.R == nil || in.Size < 0 {
		return nil, &FileError{Code: "unreadable", Err: fs.ErrInvalid}
	}
	head := make([]byte, min(in.Size, sniffLen))
	if in.Size == 0 {
		// A directory has no bytes either, but says so when it is read.
		if _, err := in.R.ReadAt(make([]byte, 1), 0); err != nil && !errors.Is(err, io.EOF) {
			return nil, &FileError{Code: "unreadable", Err: err}
		}
		return nil, &FileError{Code: "empty"}
	}
	if _, err := io.ReadFull(io.NewSectionReader(in.R, 0, in.Size), head); err != nil {
		return nil, &FileError{Code: "unreadable", Err: err}
	}
	return head, nil
}

// magics are the first bytes of files that people send by mistake, and the code of the FileError that says so.
var magics = []struct{ prefix, code string }{
	{"%PDF", "pdf"},
	{"\x1F\x8B", "gzip"},
	{"7z\xBC\xAF\x27\x1C", "archive"},
	{"Rar!", "archive"},
	{"\x89PNG", "image"},
	{"\xFF\xD8\xFF", "image"},
	{"GIF8", "image"},
	{`{\rtf`, "word"},
	{"PAR1", "binary"},
	{"SQLite format 3", "binary"},
}

// sniff decides by content whether the file is a zip container (true) or text (false), and refuses the others.
func sniff(in Input, head []byte) (container bool, err error) {
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06")) {
		return true, nil
	}
	if bytes.HasPrefix(head, []byte("\xD0\xCF\x11\xE0")) {
		return false, &FileError{Code: oleKind(in)}
	}
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.prefix)) {
			return false, &FileError{Code: m.code}
		}
	}
	return false, markup(head)
}

// markup refuses web pages and XML that carry a spreadsheet's name: what banks and old systems export as ".xls".
func markup(head []byte) error {
	head = bytes.TrimPrefix(head, []byte("\xEF\xBB\xBF"))
	if bytes.HasPrefix(head, []byte("\xFF\xFE")) || len(head) > 1 && head[1] == 0 {
		head = bytes.ReplaceAll(bytes.TrimPrefix(head, []byte("\xFF\xFE")), []byte{0}, nil)
	}
	text := strings.ToLower(string(bytes.TrimSpace(head)))
	for _, tag := range []string{"<html", "<!doctype html", "<table", "<head", "<body", "<meta", "<div", "<style",
		"<!--"} {
		if strings.HasPrefix(text, tag) {
			return &FileError{Code: "html"}
		}
	}
	switch {
	case strings.HasPrefix(text, "<?xml") && strings.Contains(text, "<html"):
		return &FileError{Code: "html"}
	case strings.HasPrefix(text, "<?xml"), strings.HasPrefix(text, "<workbook"):
		return &FileError{Code: "xml"}
	case strings.HasPrefix(text, "{\""), strings.HasPrefix(text, "[{"):
		return &FileError{Code: "json"}
	}
	return nil
}

// oleKind tells a workbook with a password from an old .xls: both are OLE2 containers, and only the first holds a
// stream named EncryptedPackage (its name is in UTF-16).
func oleKind(in Input) string {
	const name = "E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00"
	buf := make([]byte, 64<<10)
	r := io.NewSectionReader(in.R, 0, min(in.Size, maxXLSX))
	for kept := 0; ; {
		n, err := io.ReadFull(r, buf[kept:])
		if bytes.Contains(buf[:kept+n], []byte(name)) {
			return "password"
		}
		if err != nil {
			return "old_xls"
		}
		kept = copy(buf, buf[kept+n-len(name):kept+n])
	}
}

// containerKind looks at the names in a zip file and returns "" for an Excel workbook, else the FileError's code.
func containerKind(z *zip.Reader) string {
	names := map[string]*zip.File{}
	for _, f := range z.File {
		names[partName(f.Name)] = f
	}
	has := func(name string) bool { return names[name] != nil }
	switch {
	case has("xl/workbook.bin"):
		return "xlsb"
	case has("mimetype") && strings.HasPrefix(firstBytes(names["mimetype"]), "application/vnd.oasis.opendocument"):
		return "ods"
	case has("word/document.xml"), has("ppt/presentation.xml"):
		return "word"
	case has("index/document.iwa"), has("index.zip"):
		return "numbers"
	case has("[content_types].xml"):
		return ""
	default:
		return "zip"
	}
}

// partName is a part's name as excelize compares it: forward slashes, and no difference between cases.
func partName(name string) string {
	return strings.TrimPrefix(path.Clean(strings.ToLower(strings.ReplaceAll(name, `\`, "/"))), "/")
}

func firstBytes(f *zip.File) string {
	r, err := f.Open()
	if err != nil {
		return ""
	}
	defer r.Close()
	b, _ := io.ReadAll(io.LimitReader(r, 128))
	return string(b)
}
