package main

import (
	"slices"
	"strconv"
	"strings"
)

// selection is what --rows names.
type selection struct {
	all  bool
	rows []int
}

// mostRows bounds what --rows may name one by one: a wide range is a slip of the finger, and "all" needs no list.
const mostRows = 100_000

// selectRows reads "all" or row numbers and ranges: "3,9-12".
func (a *app) selectRows(text string) (selection, error) {
	if strings.TrimSpace(text) == "all" {
		return selection{all: true}, nil
	}
	var s selection
	for part := range strings.SplitSeq(text, ",") {
		from, to, ok := numbers(part)
		if !ok {
			return s, usage("%s", a.t("--rows %q: escriba números de fila como 3,9-12, o all", "--rows %q: write row numbers "+
				"like 3,9-12, or all", text))
		}
		if to-from >= mostRows || len(s.rows) >= mostRows {
			return s, usage("%s", a.t("--rows %q: son demasiadas filas para nombrarlas; use all", "--rows %q: these are too "+
				"many rows to be named; use all", text))
		}
		for row := from; row <= to; row++ {
			s.rows = append(s.rows, row)
		}
	}
	slices.Sort(s.rows)
	s.rows = slices.Compact(s.rows)
	return s, nil
}

// numbers reads "3" or "9-12".
func numbers(part string) (from, to int, ok bool) {
	first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
	from, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || from < 1 {
		return 0, 0, false
	}
	if !isRange {
		return from, from, true
	}
	to, err = strconv.Atoi(strings.TrimSpace(last))
	return from, to, err == nil && to >= from
}

// has reports whether a row is selected.
func (s selection) has(row int) bool {
	if s.all {
		return true
	}
	_, found := slices.BinarySearch(s.rows, row)
	return found
}

// rowList writes ascending row numbers as --rows reads them: "3,9-12".
func rowList(rows []int) string {
	var parts []string
	for i := 0; i < len(rows); {
		end := i
		for end+1 < len(rows) && rows[end+1] == rows[end]+1 {
			end++
		}
		part := strconv.Itoa(rows[i])
		if end > i {
			part += "-" + strconv.Itoa(rows[end])
		}
		parts = append(parts, part)
		i = end + 1
	}
	return strings.Join(parts, ",")
}

// shownRows is how long a list of rows a person is shown.
const shownRows = 100 // characters

// named writes how many rows there are, and which if they are not too many: "3 filas (3,9-10)".
func (a *app) named(rows []int) string {
	text := a.rows(len(rows))
	if list := rowList(rows); len(list) <= shownRows {
		text += " (" + list + ")"
	}
	return text
}
