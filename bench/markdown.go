package main

import (
	"fmt"
	"strings"
)

// markdown writes the report as tables.
func (r *report) markdown() string {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "%d CPUs, %s, %s, Redis %s (appendonly yes, appendfsync %s, %s listpack sizes), rounds: %d.\n"+
		"Each figure is the median of the rounds, with the lowest and the highest.\n",
		m.CPUs, m.System, m.Go, m.Redis, m.AppendFsync, m.Listpacks, m.Rounds)
	for _, c := range r.Contests {
		c.markdown(&b)
	}
	if len(r.Memory) > 0 {
		b.WriteString("\n**Memory of Redis**\n\n| what | how many | bytes each |\n|---|---:|---:|\n")
		for _, w := range r.Memory {
			fmt.Fprintf(&b, "| %s | %d | %.0f |\n", w.What, w.Count, w.Each)
		}
	}
	if c := r.Check; c != nil {
		fmt.Fprintf(&b, "\n**Checking a CSV of %d rows (`enqueue check`)**\n\n"+
			"| peak memory | of which at the start | rows/s |\n|---:|---:|---:|\n| %s MiB | %s MiB | %s |\n",
			c.Rows, c.PeakMiB, c.StartMiB, c.RowsPerSecond)
	}
	return b.String()
}

func (c contestReport) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n**%s**\n\n| | %s/s | Pregón is … times as fast | CPU µs each | Redis CPU µs each |\n"+
		"|---|---:|---:|---:|---:|\n", c.Title, c.Unit)
	for _, l := range c.Lines {
		ratio := ""
		if l.Ratio != nil {
			ratio = l.Ratio.String()
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", l.Name, l.PerSecond, ratio, number(l.CPU.Median),
			number(l.RedisCPU.Median))
	}
}

// String is the median with both ends.
func (s spread) String() string {
	return fmt.Sprintf("%s (%s–%s)", number(s.Median), number(s.Min), number(s.Max))
}

// number keeps three digits of small figures and the whole of large ones, with a thin space every three digits.
func number(f float64) string {
	switch {
	case f < 10:
		return fmt.Sprintf("%.2f", f)
	case f < 100:
		return fmt.Sprintf("%.1f", f)
	}
	digits := fmt.Sprintf("%.0f", f)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return digits
}
