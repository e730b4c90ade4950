package config

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"pregon/providers"
)

// accountsFile reads the file that ACCOUNTS_FILE names.
func (l *loader) accountsFile(path string) []*draft {
	data, err := l.read(path)
	if err != nil {
		l.fail("ACCOUNTS_FILE", "the file cannot be read; name a file that this process may read: %w", err)
		return nil
	}
	f := fileReader{loader: l, path: path}
	return f.parse(data)
}

// fileReader walks an accounts file. It walks the syntax tree rather than decoding into structs, because a decoder
// stops at its first complaint and forgets where the values it accepted came from.
//
//	accounts:
//	  bogota:                          # or a list, each item with name: bogota
//	    provider: contactovirtual      # may be left out where the account has a provider's name
//	    url: https://contacto-virtual.com   # or ${BOGOTA_URL}
//	    login: ${BOGOTA_LOGIN}         # or written out, or login_file: PATH
//	    token_file: secrets/bogota     # or token: ${BOGOTA_TOKEN}; never written out
//	    rate: 10                       # messages per second
//	    burst: 1
//	    cost: 0.06
//	    encoding: form                 # or multipart
//	    templates:
//	      990: {name: Asignación de cita, text: "¡Hola *{1}*!"}
type fileReader struct {
	*loader
	path    string
	anchors map[string]ast.Node
}

// at is the place of a node as editors understand it: path:line:column.
func (f *fileReader) at(n ast.Node) string {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return f.path + ":1:1"
	}
	p := n.GetToken().Position
	return fmt.Sprintf("%s:%d:%d", f.path, p.Line, p.Column)
}

func (f *fileReader) failAt(n ast.Node, format string, args ...any) {
	f.fail(f.at(n), format, args...)
}

func (f *fileReader) parse(data []byte) []*draft {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		f.syntax(err)
		return nil
	}
	docs := slices.DeleteFunc(file.Docs, func(d *ast.DocumentNode) bool { return d.Body == nil })
	if len(docs) != 1 {
		f.failAt(nil, "the file must hold one YAML document with the key accounts, not %d", len(docs))
		return nil
	}
	f.anchors = map[string]ast.Node{}
	for _, n := range ast.Filter(ast.AnchorType, docs[0].Body) {
		if a, ok := n.(*ast.AnchorNode); ok && a.Name != nil {
			f.anchors[a.Name.String()] = a.Value
		}
	}
	var drafts []*draft
	found := false
	for _, e := range f.entries(docs[0].Body, "the file") {
		if e.key != "accounts" {
			f.failAt(e.at, "the key %s is not known; the only one at the top is accounts", shown(e.key))
			continue
		}
		found = true
		drafts = f.drafts(e.value)
	}
	if !found && len(f.errs) == 0 {
		f.failAt(docs[0].Body, "the file has no accounts; begin it with the key accounts")
	}
	return drafts
}

// syntax reports YAML that cannot be read: its place and the parser's words, but not the excerpt that the parser would
// add, which may show a secret.
func (f *fileReader) syntax(err error) {
	var y yaml.Error
	if !errors.As(err, &y) || y.GetToken() == nil || y.GetToken().Position == nil {
		f.failAt(nil, "the file is not YAML; mind spaces, colons and quotes")
		return
	}
	p := y.GetToken().Position
	f.errs = append(f.errs, fmt.Errorf("%s:%d:%d: the file is not YAML: %s; mind spaces, colons and quotes there",
		f.path, p.Line, p.Column, y.GetMessage()))
}

// entry is a key with its value, aliases resolved.
type entry struct {
	key   string
	at    ast.Node
	value ast.Node
}

// entries returns the pairs of a mapping; what is the thing's name in the complaint about anything else.
func (f *fileReader) entries(n ast.Node, what string) []entry {
	var pairs []*ast.MappingValueNode
	switch n := f.resolve(n).(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		f.failAt(n, "%s must be keys with values (key: value)", what)
	}
	out := make([]entry, 0, len(pairs))
	for _, p := range pairs {
		key, ok := scalar(p.Key)
		if !ok {
			f.failAt(p.Key, "this kind of key is not understood; write a plain word")
			continue
		}
		out = append(out, entry{key: key, at: p.Key, value: f.resolve(p.Value)})
	}
	return out
}

// drafts reads the accounts, given as a mapping by name or as a list.
func (f *fileReader) drafts(n ast.Node) []*draft {
	var out []*draft
	if list, ok := f.resolve(n).(*ast.SequenceNode); ok {
		for _, item := range list.Values {
			out = f.add(out, item, f.entries(item, "an account"), entry{at: item})
		}
		return out
	}
	for _, e := range f.entries(n, "accounts") {
		out = f.add(out, e.at, f.entries(e.value, "the account "+shown(e.key)), e)
	}
	return out
}

// add reads one account. In a list its name is one of its entries; in a mapping it is the key.
func (f *fileReader) add(drafts []*draft, at ast.Node, entries []entry, name entry) []*draft {
	provider := ""
	var providerAt ast.Node
	for _, e := range entries {
		switch e.key {
		case "name":
			if name.key != "" {
				f.failAt(e.at, "the account has its name already, %s; remove this one", shown(name.key))
				continue
			}
			name.key, name.at = f.text(e), e.at
		case "provider":
			provider, providerAt = f.text(e), e.at
		}
	}
	if name.key == "" {
		f.failAt(at, "the account has no name; add name: NAME")
		return drafts
	}
	if err := checkAccountName(name.key); err != nil {
		f.failAt(name.at, "%w", err)
	}
	if slices.ContainsFunc(drafts, func(d *draft) bool { return d.Name == name.key }) {
		f.failAt(name.at, "there are two accounts called %s; rename one", shown(name.key))
		return drafts
	}
	if provider == "" && providerAt == nil {
		provider, providerAt = name.key, name.at
	}
	if _, known := defaultURLs[provider]; !known {
		f.failAt(providerAt, "the provider %s is not known; add provider: with one of %s",
			shown(provider), strings.Join(slices.Sorted(maps.Keys(defaultURLs)), ", "))
	}
	d := newDraft(name.key, provider)
	d.where = f.at(name.at)
	for _, e := range entries {
		f.field(d, e)
	}
	return append(drafts, d)
}

// accountKeys lists what an account may have, for the complaint about anything else.
const accountKeys = "provider, url, login, login_file, token, token_file, rate, burst, cost, encoding and templates"

// field reads one setting of an account.
func (f *fileReader) field(d *draft, e entry) {
	if set, ok := accountFields[e.key]; ok {
		value := f.text(e)
		if e.key == "url" && variable.MatchString(value) {
			value = f.expand(e.value, value).Reveal()
		}
		if value == "" {
			return
		}
		if err := set(&d.Account, value); err != nil {
			f.failAt(e.value, "%s: %w", e.key, err)
		}
		return
	}
	switch e.key {
	case "name", "provider": // Read before.
	case "login", "login_file":
		f.credential(e, &d.Login, &d.loginGiven)
	case "token", "token_file":
		f.credential(e, &d.Token, &d.tokenGiven)
	case "templates":
		d.Templates = f.templates(e.value)
	default:
		f.failAt(e.at, "the key %s is not known; an account has %s", shown(e.key), accountKeys)
	}
}

// credential reads a login or a token from a variable or from a file. A login may also be written out; a token may not,
// since this file is the kind that is copied, mailed and committed.
func (f *fileReader) credential(e entry, to *providers.Secret, given *bool) {
	field, isFile := strings.CutSuffix(e.key, "_file")
	if *given {
		f.failAt(e.at, "the account has both %s and %s_file; remove one", field, field)
		return
	}
	*given = true
	written, ok := scalar(e.value)
	if !ok || written == "" {
		f.failAt(e.at, "%s has no value; write %s: ${VARIABLE}, or %s_file: PATH", e.key, field, field)
		return
	}
	if isFile {
		if !filepath.IsAbs(written) {
			written = filepath.Join(filepath.Dir(f.path), written)
		}
		s, err := f.secretFile(written)
		if err != nil {
			f.failAt(e.value, "%s: %w", e.key, err)
		}
		*to = s
		return
	}
	if variable.MatchString(written) {
		*to = f.expand(e.value, written)
		return
	}
	if field == "token" {
		f.failAt(e.value, "a token is not written out here; put it into a variable and write token: ${VARIABLE}, "+
			"or into a file and write token_file: PATH")
		return
	}
	s, err := cleanSecret(written)
	if err != nil {
		f.failAt(e.value, "%s: %w", e.key, err)
	}
	*to = s
}

// templates reads names and texts by template id.
func (f *fileReader) templates(n ast.Node) map[string]Template {
	out := map[string]Template{}
	for _, e := range f.entries(n, "templates") {
		var t Template
		for _, part := range f.entries(e.value, "the template "+shown(e.key)) {
			switch part.key {
			case "name":
				t.Name = f.text(part)
			case "text":
				t.Text = f.text(part)
			default:
				f.failAt(part.at, "the key %s is not known; a template has name and text", shown(part.key))
			}
		}
		out[e.key] = t
	}
	return out
}

// variable is a value that stands for the variable in its braces. Login, token and url may be one: their complaints
// never show a value, while those of the others do, and a variable may hold anything.
var variable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// text is a setting exactly as written.
func (f *fileReader) text(e entry) string {
	written, ok := scalar(e.value)
	if !ok || written == "" {
		f.failAt(e.at, "%s has no value, or not a plain one; write one line of text behind it, or remove it", e.key)
		return ""
	}
	return written
}

// expand returns what the environment has for ${NAME}, where NAME_FILE serves as well as everywhere else.
func (f *fileReader) expand(at ast.Node, written string) providers.Secret {
	name := variable.FindStringSubmatch(written)[1]
	s, err := f.secret(name, f.env[name], f.env[name+"_FILE"])
	if err == nil && s.IsZero() {
		err = fmt.Errorf("the variable %s is not set; set it, or %s_FILE", name, name)
	}
	if err != nil {
		f.failAt(at, "%w", err)
	}
	return s
}

// resolve follows anchors and aliases to what they stand for. The count ends aliases that lead in a circle.
func (f *fileReader) resolve(n ast.Node) ast.Node {
	for range 8 {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.AliasNode:
			target, ok := f.anchors[v.Value.String()]
			if !ok {
				return n
			}
			n = target
		default:
			return n
		}
	}
	return nil
}

// scalar returns the text of a plain value as it is written: a template id 0990 keeps its zero.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}
