package campaign

import (
	_ "embed"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
)

// catalogue.txt holds every sentence that people read, in Spanish and English, by code. It is the only place for
// them, so that whoever edits the words need not read Go.
//
//go:embed catalogue.txt
var catalogueText string

// sentences of one code: what happened and why, and what to do.
type sentences struct{ reason, fix map[string]string }

var catalogue = sync.OnceValue(func() map[string]sentences { return parseCatalogue(catalogueText) })

// parseCatalogue reads "[code]" headings and "es: …", "es.fix: …", "en: …", "en.fix: …" lines.
func parseCatalogue(text string) map[string]sentences {
	all := map[string]sentences{}
	code := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			code = strings.TrimSuffix(name, "]")
			all[code] = sentences{reason: map[string]string{}, fix: map[string]string{}}
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if lang, isFix := strings.CutSuffix(key, ".fix"); isFix {
			all[code].fix[lang] = strings.TrimSpace(value)
		} else {
			all[code].reason[key] = strings.TrimSpace(value)
		}
	}
	return all
}

// language is "en" for English in any of its spellings, else "es".
func language(lang string) string {
	if strings.HasPrefix(strings.ToLower(lang), "en") {
		return "en"
	}
	return "es"
}

// Reason tells in lang ("es", the default, or "en") what happened and why.
func (p Problem) Reason(lang string) string {
	return p.fill(p.sentences().reason[language(lang)])
}

// Fix tells in lang ("es", the default, or "en") what to do about it.
func (p Problem) Fix(lang string) string {
	return p.fill(p.sentences().fix[language(lang)])
}

// sentences prefers those of "code.level", where what a code means for the row depends on its level.
func (p Problem) sentences() sentences {
	if s, ok := catalogue()[p.Code+"."+p.Level.String()]; ok {
		return s
	}
	return catalogue()[p.Code]
}

func (p Problem) fill(sentence string) string {
	args := map[string]string{"column": p.Column, "value": p.Value}
	maps.Copy(args, p.Args)
	return fill(sentence, args)
}

// fill puts the arguments in the place of their {names}, once: names inside a value mean nothing.
func fill(sentence string, args map[string]string) string {
	pairs := make([]string, 0, 2*len(args))
	for _, name := range slices.Sorted(maps.Keys(args)) {
		pairs = append(pairs, "{"+name+"}", args[name])
	}
	return strings.NewReplacer(pairs...).Replace(sentence)
}

// Text tells in lang ("es", the default, or "en") what happened, why, and what to do.
func (e *FileError) Text(lang string) string {
	s := catalogue()[e.Code]
	return fill(s.reason[language(lang)]+" "+s.fix[language(lang)], e.Args)
}

// publicArgs are the arguments that can hold nothing about a person, and so may stand in an error text.
var publicArgs = []string{"line", "opened", "row", "max", "n", "part"}

// Error tells engineers what happened. It names no person, no header and no file.
func (e *FileError) Error() string {
	text := "read campaign file: " + e.Code
	for _, name := range publicArgs {
		if value, ok := e.Args[name]; ok {
			text += " " + name + "=" + value
		}
	}
	if e.Code != "unreadable" || e.Err == nil {
		return text
	}
	if pathErr, ok := errors.AsType[*fs.PathError](e.Err); ok {
		return text + ": " + pathErr.Op + ": " + pathErr.Err.Error() // without the path
	}
	return text + ": " + e.Err.Error()
}
