package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pregon/campaign"
	"pregon/providers/simulator"
)

func TestEveryContactIsValidAndPlainToTheSimulator(t *testing.T) {
	const n = 10_000 // beyond one run through the suffixes
	path, err := writeContacts(t.TempDir(), n)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := campaign.Open(campaign.Input{Name: path, R: bytes.NewReader(content), Size: int64(len(content))},
		campaign.Spec{Template: simulatorTemplate(t), Rules: campaign.Rules{Prefix: "57", Digits: 12, NoBrackets: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	report, err := campaign.Check(f, func(r *campaign.Recipient) error {
		if suffix := r.Phone[len(r.Phone)-4:]; suffix < "2000" || suffix > "8999" {
			t.Errorf("row %d ends in %s, which may mean something to the simulator", r.Row, suffix)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if report.Valid != n || report.Rows != n || report.Warnings != 0 {
		t.Errorf("%d of %d rows are valid, with %d warnings (%v); want all %d without a warning", report.Valid, report.Rows,
			report.Warnings, report.Codes, n)
	}
	if vars := report.Layout.Columns.Vars; len(vars) != 3 || len(report.Layout.Notes) > 0 {
		t.Errorf("%d variables and notes %v, want 3 variables and no note", len(vars), report.Layout.Notes)
	}
}

func simulatorTemplate(t *testing.T) campaign.Template {
	t.Helper()
	all := simulator.DefaultTemplates()
	i := slices.IndexFunc(all, func(s simulator.Template) bool { return s.ID == template })
	if i < 0 {
		t.Fatalf("the simulator has no template %s", template)
	}
	return campaign.Template{ID: all[i].ID, Name: all[i].Name, Text: all[i].Text}
}

func TestNoTwoContactsShareAPhone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		index := rapid.IntRange(0, maxContacts-1)
		i, j := index.Draw(t, "i"), index.Draw(t, "j")
		if (i == j) != (phone(i) == phone(j)) || len(phone(i)) != 10 {
			t.Fatalf("contacts %d and %d have the phones %s and %s", i, j, phone(i), phone(j))
		}
	})
}

func TestThePlainProgramReadsTheSameRows(t *testing.T) {
	path, err := writeContacts(t.TempDir(), 3)
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	n, err := readPlain(path, func(row int, record []string) error {
		if len(record) != 4 || row != len(seen)+2 {
			t.Errorf("row %d has %d fields", row, len(record))
		}
		seen = append(seen, record[0])
		return nil
	})
	if err != nil || n != 3 || strings.Join(seen, ",") != phone(0)+","+phone(1)+","+phone(2) {
		t.Errorf("read %d rows with the phones %v, error %v", n, seen, err)
	}
}
