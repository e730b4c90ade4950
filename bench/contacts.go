package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
)

// The phones are valid Colombian mobiles, all different: 310, three digits that count, and four that stay away from the
// suffixes to which the simulator gives a meaning.
const (
	firstSuffix = 2000
	suffixes    = 7000
	maxContacts = 1000 * suffixes
)

// template is the simulator's template that the contacts are written for; see its DefaultTemplates.
const template = "990"

var (
	firstNames    = []string{"Ana Lucía", "Julián", "María Fernanda", "Óscar", "Yesenia", "José", "Íngrid", "Camilo"}
	lastNames     = []string{"Nuñez", "Peña", "Rodríguez", "Gómez", "Castaño", "Muñoz", "Ramírez"}
	professionals = []string{"Dra. Salazar", "Dr. Ríos", "Dra. Vélez", "Dr. Cárdenas", "Dra. Quiñones"}
)

func phone(i int) string {
	return fmt.Sprintf("310%03d%04d", i/suffixes, firstSuffix+i%suffixes)
}

// writeContacts makes a campaign file of n contacts: CSV, UTF-8, commas, the columns of template 990. The same number
// gives the same file.
func writeContacts(dir string, n int) (path string, err error) {
	path = filepath.Join(dir, fmt.Sprintf("contacts-%d.csv", n))
	f, err := os.Create(path) //nolint:gosec // a directory of our own
	if err != nil {
		return "", fmt.Errorf("make campaign file: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	fmt.Fprintln(w, "Teléfono,Nombre,Profesional,Fecha y hora")
	for i := range n {
		fmt.Fprintf(w, "%s,%s %s,%s,2026-12-%02d %02d:%02d\n", phone(i), firstNames[i%len(firstNames)],
			lastNames[i%len(lastNames)], professionals[i%len(professionals)], 1+i%28, 7+i%11, i%4*15)
	}
	if err := w.Flush(); err != nil {
		return "", fmt.Errorf("write campaign file: %w", err)
	}
	if err := f.Close(); err != nil {
		return "", fmt.Errorf("write campaign file: %w", err)
	}
	return path, nil
}
