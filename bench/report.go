package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
)

// report is everything that was measured, as it is printed.
type report struct {
	Machine  machine         `json:"machine"`
	Contests []contestReport `json:"contests,omitempty"`
	Memory   []weight        `json:"memory,omitempty"`
	Check    *checkReport    `json:"check,omitempty"`
}

type machine struct {
	CPUs        int    `json:"cpus"`
	System      string `json:"system"`
	Go          string `json:"go"`
	Redis       string `json:"redis"`
	AppendFsync string `json:"appendfsync"`
	Listpacks   string `json:"listpacks"` // compose or stock
	Rounds      int    `json:"rounds"`
}

type contestReport struct {
	Title string `json:"title"`
	Unit  string `json:"unit"`
	Lines []line `json:"lines"`
}

// line is one contender of a contest. Ratio says how many times as fast as it the first one was, per round; CPU times
// are microseconds per unit.
type line struct {
	Name      string  `json:"name"`
	PerSecond spread  `json:"per_second"`
	Ratio     *spread `json:"ratio,omitempty"`
	CPU       spread  `json:"cpu_us"`
	RedisCPU  spread  `json:"redis_cpu_us"`
}

// weight is the memory of Redis that something takes.
type weight struct {
	What  string  `json:"what"`
	Count int     `json:"count"`
	Bytes int     `json:"bytes"`
	Each  float64 `json:"bytes_each"`
}

type checkReport struct {
	Rows          int    `json:"rows"`
	StartMiB      spread `json:"start_mib"` // of the program that only prints its help
	PeakMiB       spread `json:"peak_mib"`
	RowsPerSecond spread `json:"rows_per_second"`
}

func newReport(o options, redisVersion string) *report {
	listpacks := "compose"
	if o.stockRedis {
		listpacks = "stock"
	}
	return &report{Machine: machine{
		CPUs: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Redis: redisVersion,
		AppendFsync: o.fsync, Listpacks: listpacks, Rounds: o.rounds,
	}}
}

// add takes the outcomes of a contest; a contender without samples in a part is left out of it.
func (r *report) add(outcomes []outcome) {
	for _, o := range outcomes {
		c := contestReport{Title: o.title, Unit: o.unit}
		for i, name := range o.names {
			if len(o.samples[i]) == 0 {
				continue
			}
			l := line{Name: name, PerSecond: o.speeds(i)}
			l.CPU, l.RedisCPU = o.cpuPerUnit(i)
			if i > 0 {
				ratio := o.ratios(i)
				l.Ratio = &ratio
			}
			c.Lines = append(c.Lines, l)
		}
		r.Contests = append(r.Contests, c)
	}
}

func (r *report) weigh(what string, count, bytes int) {
	r.Memory = append(r.Memory, weight{what, count, bytes, float64(bytes) / float64(max(count, 1))})
}

func (r *report) write(w io.Writer, asJSON bool) error {
	if asJSON {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		if err := out.Encode(r); err != nil {
			return fmt.Errorf("print report: %w", err)
		}
		return nil
	}
	if _, err := io.WriteString(w, r.markdown()); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}
