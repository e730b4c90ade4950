package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file that changes between its check and its launch left pages of one content in a campaign of another, and the next
// launch, of the first content, sent to one person twice.
func TestAFileStaysAsItWasWhenItWasOpened(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "contactos.csv")
	if err := os.WriteFile(path, []byte("celular\n3005552001\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := newApp(nil, strings.NewReader(""), io.Discard, io.Discard)
	f, err := a.openFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if err := os.WriteFile(path, []byte("celular\n3009999999\n3008888888\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(io.NewSectionReader(f.f, 0, f.size))
	if err != nil || string(content) != "celular\n3005552001\n" {
		t.Errorf("read %q, %v", content, err)
	}
}
