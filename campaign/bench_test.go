package campaign

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// endless is a CSV file of any length that takes no memory: every row has 48 bytes.
type endless struct{ rows int64 }

const endlessHead = "Nombre;Celular;Fecha                           \n"

func (e endless) size() int64 { return int64(len(endlessHead)) * (e.rows + 1) }

func (e endless) ReadAt(b []byte, offset int64) (n int, err error) {
	width := int64(len(endlessHead))
	for n < len(b) && offset < e.size() {
		line := endlessHead
		if i := offset / width; i > 0 {
			line = fmt.Sprintf("Persona n%08d;300%07d;20/11/2026 07:30  \n", i, i)
		}
		copied := copy(b[n:], line[offset%width:])
		n, offset = n+copied, offset+int64(copied)
	}
	return n, nil
}

func (e endless) input() Input { return Input{Name: "mucho.csv", R: e, Size: e.size()} }

// raceDetector is set when the race detector is on; its bookkeeping takes more memory than what is measured.
var raceDetector = false

// TestMillionRowsFitInMemory: one million contacts, duplicates found, in at most 64 MB above the start.
func TestMillionRowsFitInMemory(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("takes seconds, and measures memory")
	}
	const rows = 1_000_000
	spec := Spec{Rules: contactoVirtual, Template: Template{Text: "Hola {1}, {2}"}}
	for _, warm := range []int64{300, rows} { // the first, small one loads libphonenumber's tables
		runtime.GC()
		var start, now runtime.MemStats
		runtime.ReadMemStats(&start)
		f, err := Open(endless{warm}.input(), spec)
		must(t, err)
		peak, seen := uint64(0), 0
		report, err := Check(f, func(*Recipient) error {
			if seen++; seen%10_000 == 0 {
				runtime.ReadMemStats(&now)
				peak = max(peak, now.Sys-min(now.Sys, start.Sys), now.HeapInuse-min(now.HeapInuse, start.HeapInuse))
			}
			return nil
		})
		must(t, err)
		must(t, f.Close())
		if report.Valid != int(warm) || report.Sample[0].Phone != "573000000001" {
			t.Errorf("valid = %d, codes = %v", report.Valid, report.Codes)
		}
		t.Logf("%d rows: %d MB", warm, peak>>20)
		if peak > 64<<20 {
			t.Errorf("%d rows took %d MB", warm, peak>>20)
		}
	}
}

func BenchmarkCheckCSV(b *testing.B) {
	const rows = 100_000
	e := endless{rows}
	b.SetBytes(e.size())
	for b.Loop() {
		f, err := Open(e.input(), Spec{Rules: contactoVirtual, Template: Template{Text: "Hola {1}, {2}"}})
		must(b, err)
		report, err := Check(f, nil)
		must(b, err)
		if report.Valid != rows {
			b.Fatal(report.Valid)
		}
	}
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkCheckXLSX(b *testing.B) {
	const rows = 20_000
	data := [][]any{{"Nombre", "Celular", "Fecha"}}
	for i := range rows {
		data = append(data, []any{fmt.Sprintf("Persona %d", i), 3000000001 + i, "20/11/2026 07:30"})
	}
	file := xlsx(b, data...)
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		f, err := Open(input("a.xlsx", file), Spec{Rules: contactoVirtual})
		must(b, err)
		report, err := Check(f, nil)
		must(b, err)
		must(b, f.Close())
		if report.Valid != rows {
			b.Fatal(report.Codes)
		}
	}
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkPhone(b *testing.B) {
	for name, text := range map[string]string{"Usual": "+57 310 211 1111", "Careful": "0057 310 2111111"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if p := parsePhone(text, "CO"); p.digits != "573102111111" {
					b.Fatal(p)
				}
			}
		})
	}
}

func BenchmarkCleanValue(b *testing.B) {
	for name, text := range map[string]string{"ASCII": "Ana Maria Ruiz", "Accents": "María Peña Núñez",
		"Mended": "Ana\n[María]"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				cleanValue(text, true)
			}
		})
	}
}

func BenchmarkRender(b *testing.B) {
	t := Template{Text: strings.Repeat("Hola {1}, {2}. ", 10)}
	for b.Loop() {
		t.Render([]string{"Ana", "hoy"})
	}
}
