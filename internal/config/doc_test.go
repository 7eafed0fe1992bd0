package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

const docPath = "../../docs/CONFIGURATION.md"

// TestReference compares the reference in docs/CONFIGURATION.md with the table
// of keys that it is made of.
func TestReference(t *testing.T) {
	testkit.CheckPart(t, docPath, "reference", reference(), *update)
}

// TestKeysAreDocumented checks what a reader needs to find in every row.
func TestKeysAreDocumented(t *testing.T) {
	for _, r := range rows() {
		if r.help == "" || !strings.HasSuffix(r.help, ".") {
			t.Errorf("%s: its help %q is not a sentence", r.name, r.help)
		}
		if r.def == "" {
			t.Errorf("%s: the documentation shows no default", r.name)
		}
		if (r.origin == fromNuthatch) && r.differs != "" {
			t.Errorf("%s: differs from nutcracker, which does not have it", r.name)
		}
	}
}

// TestExamplesInDocs parses every YAML example of the documentation that is a
// whole file: one that begins with a comment that names it.
func TestExamplesInDocs(t *testing.T) {
	doc := string(readTestFile(t, docPath))
	examples := regexp.MustCompile("(?s)```yaml\n(# \\S+\\.yml\n.*?)```").FindAllStringSubmatch(doc, -1)
	if len(examples) == 0 {
		t.Fatalf("%s has no example of a whole file", docPath)
	}
	for _, m := range examples {
		name, _, _ := strings.Cut(strings.TrimPrefix(m[1], "# "), "\n")
		if _, err := Parse(name, []byte(m[1])); err != nil {
			t.Errorf("the example %s in %s:\n%v", name, docPath, err)
		}
	}
	for _, path := range regexp.MustCompile(`conf/\w+\.yml`).FindAllString(doc, -1) {
		if _, err := os.Stat("../../" + path); err != nil {
			t.Errorf("%s points to a file that is not there: %v", docPath, err)
		}
	}
}

// row is a key of either table, as the documentation shows it.
type row struct {
	name, form, span, def, help, differs string
	origin                               origin
}

func rows() []row {
	return append(rowsOf("", describe(poolKeys)), rowsOf(processBlock+".", describe(processKeys))...)
}

// rowsOf are the rows of a table, and of the blocks in it.
func rowsOf(prefix string, keys []description) []row {
	var rows []row
	for i := range keys {
		k := &keys[i]
		name := prefix + k.name
		if k.shape != shapeBlock {
			rows = append(rows, rowOf(name, k))
		}
		rows = append(rows, rowsOf(name+map[shape]string{shapeBlock: ".", shapeList: "[].", shapeMap: ".NAME."}[k.shape], k.within)...)
	}
	return rows
}

func rowOf(name string, k *description) row {
	r := row{name: name, form: k.form, def: k.defNote, help: k.help, differs: k.differs, origin: k.origin, span: k.span()}
	switch {
	case k.required:
		r.def = "required"
	case k.shape != shapeText:
		r.def = "none"
	case k.def != "" && k.defNote != "":
		r.def = "`" + k.def + "` (" + k.defNote + ")"
	case k.def != "":
		r.def = "`" + k.def + "`"
	}
	return r
}

// reference writes the documentation of every key: a table, then a section each.
func reference() string {
	var b strings.Builder
	b.WriteString("\n| key | value | default | range | |\n|---|---|---|---|---|\n")
	for _, r := range rows() {
		note := ""
		if r.origin == fromNuthatch {
			note = "new"
		} else if r.differs != "" {
			note = "differs"
		}
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | %s | %s |\n",
			r.name, strings.ToLower(strings.NewReplacer(".", "", "[]", "").Replace(r.name)), r.form, r.def, r.span, note)
	}
	for _, r := range rows() {
		fmt.Fprintf(&b, "\n#### `%s`\n\n%s\n\n", r.name, r.help)
		fmt.Fprintf(&b, "- Value: %s", r.form)
		if r.span != "" {
			fmt.Fprintf(&b, ", %s", r.span)
		}
		fmt.Fprintf(&b, ". Default: %s.\n", r.def)
		switch {
		case r.origin == fromNuthatch:
			b.WriteString("- nuthatch's own; nutcracker does not know it.\n")
		case r.differs != "":
			fmt.Fprintf(&b, "- Differs from nutcracker: %s\n", r.differs)
		}
	}
	b.WriteString("\n")
	return testkit.WrapMarkdown(b.String())
}
