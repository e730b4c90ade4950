package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// crashCall is how a named moment at which a process may die is written in the source.
var crashCall = regexp.MustCompile(`crash\.Point\("([^"]+)"\)`)

// crashPoints finds every named moment in a source tree, so that a new one is never forgotten.
func crashPoints(source string) ([]string, error) {
	tree := os.DirFS(source)
	var points []string
	for _, top := range []string{"jobs", "internal", "cmd"} {
		err := fs.WalkDir(tree, top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := fs.ReadFile(tree, path)
			for _, m := range crashCall.FindAllSubmatch(text, -1) {
				points = append(points, string(m[1]))
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("look for crash points: %w", err)
		}
	}
	slices.Sort(points)
	return slices.Compact(points), nil
}
