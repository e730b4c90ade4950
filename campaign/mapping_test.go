package campaign

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestThePhoneColumnIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		file, phone string
		header      int
	}{
		"BySynonym":              {"Nombre,Celular\nAna,3005552001\n", "Celular", 1},
		"AccentsAndCase":         {"NOMBRE,  TELÉFONO \nAna,3005552001\n", "TELÉFONO", 1},
		"English":                {"Name,Mobile phone\nAna,3005552001\n", "Mobile phone", 1},
		"WhatsAppBeforeLandline": {"Teléfono fijo,WhatsApp\n6012345678,3005552001\n", "WhatsApp", 1},
		"BelowATitle":            {"Lista de celulares,\n,\nNombre,Celular\nAna,3005552001\n", "Celular", 3},
		"WeakNameWithPhones":     {"Nombre,Contacto\nAna,3005552001\n", "Contacto", 1},
		"WeakNameWithout":        {"Numero,Cliente\n7,3005552001\n8,3005552002\n", "Cliente", 1},
		"ByContent":              {"Nombre,Dato\nAna,3005552001\nEva,3005552002\n", "Dato", 1},
		"NamedButOfAnotherKind":  {"Celular,Dato\nSamsung,3005552001\nNokia,3005552002\n", "Dato", 1},
		"TypeOfPhoneIsNone":      {"Tipo de teléfono,Dato\nmóvil,3005552001\nmóvil,3005552002\n", "Dato", 1},
		"AllNumbersBad":          {"Nombre,Celular\nAna,1\nEva,2\n", "Celular", 1},
		"IDsAreNoPhones":         {"Cédula,Dato\n1020304050,3005552001\n1020304051,3005552002\n", "Dato", 1},
		"NoHeader":               {"Ana,3005552001\nEva,3005552002\n", "B", 0},
		"NoHeaderBadFirst":       {"Ana,30055520\nEva,3005552002\nMia,3005552003\n", "B", 0},
		"TitleButNoHeader":       {"Contactos,\nAna,3005552001\nEva,3005552002\n", "B", 0},
		"WordInADataRow":         {"Producto,Dato\nCelular Samsung,3005552001\nTablet,3005552002\n", "Dato", 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t, "a.csv", []byte(c.file), Spec{Delimiter: ","})
			l := f.Layout()
			if l.Columns.Phone.Header != c.phone || l.HeaderRow != c.header {
				t.Errorf("phone %q, header %d, want %q, %d", l.Columns.Phone.Header, l.HeaderRow, c.phone, c.header)
			}
		})
	}
}

func TestFileWithoutHeaderLosesNoRow(t *testing.T) {
	report, rows := check(t, "a.csv", csv("Ana,3005552001", "Eva,3005552002"), Spec{})
	if report.Rows != 2 || rows[0].Row != 1 || rows[0].Vars[0] != "Ana" ||
		report.Layout.Columns.Vars[0].Column.Header != "A" {
		t.Errorf("rows = %+v", rows)
	}
	if !slices.Contains(codes(report.Layout.Notes), "header_none") {
		t.Errorf("notes = %v", codes(report.Layout.Notes))
	}
}

func TestHeaderAndColumnsOnRequest(t *testing.T) {
	file := csv("Celular,Nombre", "x,y", "Nombre,Móvil,Móvil 2", "Ana,3005552001,3005552002")
	t.Run("HeaderRow", func(t *testing.T) {
		report, _ := check(t, "a.csv", file, Spec{Header: 3})
		if report.Layout.HeaderRow != 3 || report.Rows != 1 || report.Layout.Columns.Phone.Header != "Móvil" {
			t.Errorf("layout = %+v", report.Layout)
		}
		if !slices.Contains(codes(report.Layout.Notes), "phone_choice") {
			t.Errorf("notes = %v", codes(report.Layout.Notes))
		}
	})
	t.Run("PhoneByName", func(t *testing.T) {
		report, rows := check(t, "a.csv", file, Spec{Phone: "movil  2"})
		if report.Layout.HeaderRow != 3 || rows[0].Phone != "573005552002" {
			t.Errorf("layout = %+v", report.Layout)
		}
	})
	t.Run("PhoneByLetter", func(t *testing.T) {
		report, rows := check(t, "a.csv", file, Spec{Phone: "c"})
		if report.Layout.HeaderRow != 3 || rows[0].Phone != "573005552002" {
			t.Errorf("layout = %+v", report.Layout)
		}
	})
	for name, c := range map[string]struct {
		spec Spec
		code string
	}{
		"HeaderThatIsNotThere": {Spec{Header: 40}, "header_missing"},
		"PhoneThatIsNotThere":  {Spec{Phone: "Fax"}, "column_missing"},
		"LetterBeyond":         {Spec{Phone: "ZZ"}, "column_missing"},
		"UnknownMedia":         {Spec{Header: 3, Media: "Foto"}, "column_missing"},
		"BadLink":              {Spec{Header: 3, Media: "https://"}, "fixed_media_url"},
		"WrongLinkType": {Spec{Header: 3, Media: "https://x.co/a.exe", Rules: contactoVirtual},
			"fixed_media_type"},
		"UnknownVariable": {Spec{Header: 3, Vars: []Binding{{N: 1, Column: "Foto"}}}, "column_missing"},
		"VariableTwice": {Spec{Header: 3, Vars: []Binding{{N: 1, Column: "A"}, {N: 1, Column: "B"}}},
			"var_twice"},
		"VariableNotInText": {Spec{Header: 3, Vars: []Binding{{N: 4, Column: "A"}},
			Template: Template{Text: "{1}"}}, "var_unknown"},
		"VariableZero":       {Spec{Header: 3, Vars: []Binding{{N: 0, Column: "A"}}}, "binding"},
		"NoVariablesAllowed": {Spec{Header: 3, Vars: []Binding{{N: 1, Column: "A"}}, NoVars: true}, "no_vars"},
		"TooFewColumns":      {Spec{Header: 3, Template: Template{Text: "{1} {2} {3}"}}, "vars_missing"},
		"GapInUnknown":       {Spec{Header: 3, Vars: []Binding{{N: 5, Column: "A"}}}, "vars_missing"},
		"TextNotUTF8":        {Spec{Template: Template{Text: "\xff"}}, "template_text"},
	} {
		t.Run(name, func(t *testing.T) {
			if e := failure(t, "a.csv", file, c.spec); e.Code != c.code {
				t.Errorf("code = %s, want %s", e.Code, c.code)
			}
		})
	}
	t.Run("SameNameTwice", func(t *testing.T) {
		e := failure(t, "a.csv", csv("Celular,Dato,Dato", "3005552001,a,b"), Spec{Vars: []Binding{{N: 1,
			Column: "dato"}}})
		if e.Code != "column_ambiguous" || e.Args["letters"] != "B, C" {
			t.Errorf("got %s %v", e.Code, e.Args)
		}
	})
	t.Run("MissingVariablesAreNamed", func(t *testing.T) {
		e := failure(t, "a.csv", file, Spec{Header: 3, Template: Template{Text: "{1} {2} {3} {4}"}})
		if text := e.Text("es"); !strings.Contains(text, "{3}, {4}") || !strings.Contains(text, "«Nombre»") {
			t.Errorf("text = %q", text)
		}
	})
}

// bound writes a mapping on one line: "1=A 2='fixed' media=C custom=D unused=E".
func bound(c Columns) string {
	var parts []string
	for _, v := range c.Vars {
		if v.Column != nil {
			parts = append(parts, fmt.Sprintf("%d=%s", v.N, v.Column.Letter))
		} else {
			parts = append(parts, fmt.Sprintf("%d='%s'", v.N, v.Fixed))
		}
	}
	if c.Media != nil {
		parts = append(parts, "media="+c.Media.Letter)
	}
	if c.CustomField != nil {
		parts = append(parts, "custom="+c.CustomField.Letter)
	}
	for _, u := range c.Unused {
		parts = append(parts, "unused="+u.Letter)
	}
	return strings.Join(parts, " ")
}

func TestColumnsAreBound(t *testing.T) {
	two := Template{Text: "Hola {1}, {{2}}"}
	for name, c := range map[string]struct {
		header string
		spec   Spec
		want   string
		notes  []string
	}{
		"UnknownTextTakesAll": {"Celular,N,M", Spec{}, "1=B 2=C", []string{"vars_unverified"}},
		"KnownTextTakesItsOwn": {"Celular,N,M,X", Spec{Template: two}, "1=B 2=C unused=D",
			[]string{"columns_unused"}},
		"NamedAfterVariables":   {"Celular,{2},{1}", Spec{Template: two}, "1=C 2=B", nil},
		"NamedVarAndOthers":     {"Celular,Nota,var1", Spec{Template: two}, "1=C 2=B", nil},
		"NamedVariableWithWord": {"Variable 2,Celular,Variable 1", Spec{}, "1=C 2=A", []string{"vars_unverified"}},
		"NamedBeyondTheOthers": {"Celular,{3},{1},{2},Nota", Spec{}, "1=C 2=D 3=B 4=E",
			[]string{"vars_unverified"}},
		"MediaAndCustom": {"Celular,N,Imagen,Referencia", Spec{}, "1=B media=C custom=D",
			[]string{"vars_unverified"}},
		"IdIsCustom":          {"ID,Celular,N", Spec{}, "1=C custom=A", []string{"vars_unverified"}},
		"DocumentIsAVariable": {"Documento,Celular,N", Spec{Template: two}, "1=A 2=C", nil},
		"ExplicitMedia":       {"Celular,N,Foto", Spec{Media: "foto"}, "1=B media=C", []string{"vars_unverified"}},
		"LinkForEveryRow": {"Celular,N,M", Spec{Media: "https://x.co/a.png"}, "1=B 2=C",
			[]string{"vars_unverified"}},
		"ExplicitFirstRestInOrder": {"Celular,N,M", Spec{Template: two, Vars: []Binding{{N: 1, Column: "m"}}},
			"1=C 2=B", nil},
		"ExplicitOnlyIfUnknown": {"Celular,N,M,X", Spec{Vars: []Binding{{N: 1, Column: "M"}}},
			"1=C unused=B unused=D", []string{"vars_unverified", "columns_unused"}},
		"ExplicitGapIsFilled": {"Celular,N,M", Spec{Vars: []Binding{{N: 2, Column: "N"}}}, "1=C 2=B",
			[]string{"vars_unverified"}},
		"Fixed": {"Celular,N", Spec{Template: two, Vars: []Binding{{N: 2, Fixed: "hoy",
			IsFixed: true}}}, "1=B 2='hoy'", nil},
		"FixedBrackets": {"Celular,N", Spec{Template: two, Rules: contactoVirtual, Vars: []Binding{{N: 2,
			Fixed: "[hoy]", IsFixed: true}}}, "1=B 2='(hoy)'", []string{"fixed_brackets"}},
		"DefaultForMissingColumn": {"Celular,N", Spec{Template: two, Defaults: map[int]string{2: "x"}},
			"1=B 2='x'", nil},
		"ExplicitTakesMediaName": {"Celular,N,url", Spec{Template: two, Vars: []Binding{{N: 2, Column: "url"}}},
			"1=B 2=C", nil},
		"NoVariables": {"Celular,N", Spec{NoVars: true}, "unused=B", []string{"columns_unused"}},
		"TemplateWithoutVars": {"Celular,N", Spec{Template: Template{Text: "Hola"}}, "unused=B",
			[]string{"columns_unused"}},
		"UnnamedColumnIsUnused": {"Celular,N,", Spec{}, "1=B unused=C", []string{"vars_unverified",
			"columns_unused"}},
		"OnlyPhones": {"Celular", Spec{}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			row := "3005552001" + strings.Repeat(",v", strings.Count(c.header, ","))
			if i := slices.Index(strings.Split(c.header, ","), "Celular"); i > 0 {
				cells := strings.Split(row, ",")
				cells[0], cells[i] = cells[i], cells[0]
				row = strings.Join(cells, ",")
			}
			f := open(t, "a.csv", csv(c.header, row), Spec{Delimiter: ",", Media: c.spec.Media, Vars: c.spec.Vars,
				Defaults: c.spec.Defaults, NoVars: c.spec.NoVars, Template: c.spec.Template, Rules: c.spec.Rules})
			if got := bound(f.Layout().Columns); got != c.want {
				t.Errorf("bound %q, want %q", got, c.want)
			}
			if diff := cmp.Diff(c.notes, codes(f.Layout().Notes)); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestValuesAreMadeFit(t *testing.T) {
	for name, c := range map[string]struct {
		in, want string
		codes    []string
	}{
		"Plain":           {"Ana", "Ana", nil},
		"Composed":        {"Jose\u0301", "José", nil},
		"LineBreak":       {"Ana\nMaría", "Ana María", []string{"value_spaces"}},
		"Tab":             {"Ana\tMaría", "Ana María", []string{"value_spaces"}},
		"TwoSpaces":       {"Ana  María", "Ana María", []string{"value_spaces"}},
		"EdgesInSilence":  {"  Ana ", "Ana", nil},
		"NoBreakSpace":    {"Ana\u00a0María", "Ana María", nil},
		"Brackets":        {"Ana [hija]", "Ana (hija)", []string{"value_brackets"}},
		"SeveralChanges":  {"[Ana]\n[Eva]", "(Ana) (Eva)", []string{"value_spaces", "value_brackets"}},
		"ZeroWidth":       {"\ufeffA\u200bna", "Ana", nil},
		"Control":         {"A\x07na", "Ana", nil},
		"EmojiStaysWhole": {"👩\u200d🔧", "👩\u200d🔧", nil},
		"Markup":          {"*Ana* _$100_", "*Ana* _$100_", nil},
		"Garbled":         {"MarÃ\u00ada", "MarÃ\u00ada", []string{"value_garbled"}},
		"Portuguese":      {"SÃO JOÃO", "SÃO JOÃO", nil},
		"Empty":           {"", "", []string{"var_missing"}},
		"OnlySpaces":      {" \n ", "", []string{"var_missing"}},
		"Damaged":         {"Mar\ufffda", "Mar\ufffda", []string{"value_damaged"}},
	} {
		t.Run(name, func(t *testing.T) {
			quoted := `"` + c.in + `"`
			_, rows := check(t, "a.csv", []byte("Celular,Nombre\n3005552001,"+quoted+"\n3005552002,Eva\n"),
				Spec{Rules: contactoVirtual})
			if rows[0].Vars[0] != c.want {
				t.Errorf("value = %q, want %q", rows[0].Vars[0], c.want)
			}
			if diff := cmp.Diff(c.codes, codes(rows[0].Problems)); diff != "" {
				t.Errorf("codes (-want +got):\n%s", diff)
			}
			for _, p := range rows[0].Problems {
				if p.Row != 2 || p.Column != "Nombre" {
					t.Errorf("problem = %+v", p)
				}
			}
		})
	}
	t.Run("BracketsStayWhereAllowed", func(t *testing.T) {
		_, rows := check(t, "a.csv", csv("Celular,Nombre", "3005552001,[Ana]"), Spec{})
		if rows[0].Vars[0] != "[Ana]" || len(rows[0].Problems) > 0 {
			t.Errorf("row = %+v", rows[0])
		}
	})
	t.Run("DefaultForAnEmptyCell", func(t *testing.T) {
		_, rows := check(t, "a.csv", csv("Celular,Nombre", "3005552001, "),
			Spec{Defaults: map[int]string{1: "cliente [x]"}, Rules: contactoVirtual})
		if rows[0].Vars[0] != "cliente (x)" || rows[0].Status != Valid {
			t.Errorf("row = %+v", rows[0])
		}
	})
}

func TestBodyLength(t *testing.T) {
	rules := Rules{MaxBody: 20}
	for name, c := range map[string]struct {
		template, value string
		ok              bool
	}{
		"Fits":             {"Hola {1}", strings.Repeat("ñ", 15), true},
		"OneTooMany":       {"Hola {1}", strings.Repeat("ñ", 16), false},
		"SameTwice":        {"{1} {1}", strings.Repeat("x", 10), false},
		"UnknownTextFits":  {"", strings.Repeat("x", 20), true},
		"UnknownTooLong":   {"", strings.Repeat("x", 21), false},
		"TextAloneTooLong": {strings.Repeat("x", 21), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			file := csv("Celular,Nombre", "3005552001,"+c.value)
			if c.value == "" {
				file = csv("Celular", "3005552001")
			}
			_, rows := check(t, "a.csv", file, Spec{Rules: rules, Template: Template{Text: c.template}})
			got := codes(rows[0].Problems)
			if (rows[0].Status == Valid) != c.ok || !c.ok && !slices.Equal(got, []string{"body_long"}) {
				t.Errorf("status %s, codes %v", rows[0].Status, got)
			}
			for _, p := range rows[0].Problems {
				if strings.Contains(p.Reason("es")+p.Fix("es"), "{") || strings.Contains(p.Fix("es"), "«»") {
					t.Errorf("sentence: %q %q", p.Reason("es"), p.Fix("es"))
				}
			}
		})
	}
}

func TestMediaAndCustomField(t *testing.T) {
	_, rows := check(t, "a.csv", csv("Celular,Imagen,Referencia",
		"3005552001,https://x.co/foto.JPG?v=1.exe,"+strings.Repeat("é", 1001),
		"3005552002,foto.jpg,a", "3005552003,https://x.co/virus.exe,b", "3005552004,,c",
		"3005552005,ftp://x.co/a.png,d",
		"3005552006,https://x.co/una foto.png,"), Spec{Rules: contactoVirtual})
	var got []string
	for _, r := range rows {
		got = append(got, r.Status.String()+" "+strings.Join(codes(r.Problems), "+"))
	}
	want := []string{"valid custom_long", "invalid media_url", "invalid media_type", "valid media_missing",
		"invalid media_url",
		"invalid media_url"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len([]rune(rows[0].CustomField)); n != 1000 || rows[0].Media != "https://x.co/foto.JPG?v=1.exe" {
		t.Errorf("custom field of %d runes, media %q", n, rows[0].Media)
	}
	_, rows = check(t, "a.csv", csv("Celular", "3005552001"), Spec{Media: "https://x.co/a.png"})
	if rows[0].Media != "https://x.co/a.png" {
		t.Errorf("media = %q", rows[0].Media)
	}
}

func TestLongValuesAreCutInProblems(t *testing.T) {
	_, rows := check(t, "a.csv", csv("Nombre,Celular", "Ana,"+strings.Repeat("x", 200)), Spec{Phone: "Celular"})
	if v := rows[0].Problems[0].Value; len([]rune(v)) != 80 || !strings.HasSuffix(v, "…") {
		t.Errorf("value = %q", v)
	}
}
