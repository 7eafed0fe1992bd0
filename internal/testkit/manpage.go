package testkit

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// A ManPage is a manual page as it grows, in the macros of man(7). Texts are Markdown of
// one paragraph: `code`, **strong** and [links](target), which lose their target.
type ManPage struct {
	b strings.Builder
	// begun is set behind the heading of a section, where a paragraph begins by itself.
	begun bool
}

// NewManPage begins a page: its name, its section of the manual, and what it is about in a
// few words. made tells how the file is written.
func NewManPage(name string, section int, about, made string) *ManPage {
	m := &ManPage{}
	fmt.Fprintf(&m.b, ".\\\" Written by `%s`. Do not edit.\n", made)
	fmt.Fprintf(&m.b, ".TH %q %d \"\" nuthatch nuthatch\n", strings.ToUpper(name), section)
	m.Section("Name")
	m.b.WriteString(roffText(name) + " \\- " + roffText(about) + "\n")
	return m
}

// Section begins a section.
func (m *ManPage) Section(title string) {
	m.b.WriteString(".SH " + quoteRoff(strings.ToUpper(title)) + "\n")
	m.begun = true
}

// Paragraph adds a paragraph.
func (m *ManPage) Paragraph(text string) {
	m.begin(".PP\n")
	m.b.WriteString(roffText(text) + "\n")
}

// begin writes the macro of a paragraph, unless one has just begun.
func (m *ManPage) begin(macro string) {
	if !m.begun {
		m.b.WriteString(macro)
	}
	m.begun = false
}

// Item adds a term, and what it means.
func (m *ManPage) Item(term, text string) {
	m.begun = false
	m.b.WriteString(".TP\n" + roffText(term) + "\n" + roffText(text) + "\n")
}

// More adds a further paragraph to an item.
func (m *ManPage) More(text string) {
	m.b.WriteString(".IP\n" + roffText(text) + "\n")
}

// Code adds lines that stand as they are.
func (m *ManPage) Code(text string) {
	m.begin(".PP\n")
	m.b.WriteString(".in +4n\n.nf\n")
	for line := range strings.Lines(text) {
		m.b.WriteString(roffLine(escapeRoff(strings.TrimRight(line, "\n"))) + "\n")
	}
	m.b.WriteString(".fi\n.in\n")
}

// String is the page.
func (m *ManPage) String() string { return m.b.String() }

// markdownSpan is what a paragraph of Markdown has besides plain text.
var markdownSpan = regexp.MustCompile("`([^`]+)`|\\*\\*([^*]+)\\*\\*|\\[([^\\]]*)\\]\\([^)]*\\)")

// roffText is a paragraph of Markdown as a line of roff.
func roffText(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	var b strings.Builder
	for {
		at := markdownSpan.FindStringSubmatchIndex(text)
		if at == nil {
			b.WriteString(escapeRoff(text))
			return roffLine(b.String())
		}
		b.WriteString(escapeRoff(text[:at[0]]))
		switch {
		case at[2] >= 0:
			b.WriteString(`\fB` + escapeRoff(text[at[2]:at[3]]) + `\fR`)
		case at[4] >= 0:
			b.WriteString(`\fB` + escapeRoff(text[at[4]:at[5]]) + `\fR`)
		default:
			b.WriteString(roffText(text[at[6]:at[7]]))
		}
		text = text[at[1]:]
	}
}

// escapeRoff keeps roff from reading a text as anything else. A hyphen stays the character that
// is typed.
func escapeRoff(text string) string {
	return strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(text)
}

// roffLine keeps roff from reading a line as a request.
func roffLine(line string) string {
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		return `\&` + line
	}
	return line
}

func quoteRoff(text string) string { return `"` + strings.ReplaceAll(text, `"`, `""`) + `"` }

// CheckFile compares the whole file at path with the text that a table makes of it, or writes
// that text there if update is set. command is the one that does.
func CheckFile(t testing.TB, path, command, want string, update bool) {
	t.Helper()
	if update {
		// What is packaged is for everybody to read.
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run: %s", err, command)
	}
	if string(got) != want {
		n, has, makes := differingLine(string(got), want)
		t.Errorf("%s:%d is not what the table makes; run: %s\n  has   %q\n  want  %q", path, n, command, has, makes)
	}
}
