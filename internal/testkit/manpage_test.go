package testkit

import (
	"os"
	"path/filepath"
	"testing"
)

func TestManPage(t *testing.T) {
	m := NewManPage("thing", 1, "does things", "make thing")
	m.Section("Options")
	m.Paragraph("Takes\n`-x` or [a link](X.md#y), **always**.")
	m.Item("`-o FILE`", ".hidden \\ text")
	m.More("'quoted'")
	m.Code("a: b\n.c: \"d\"\n")
	want := `.\" Written by ` + "`make thing`" + `. Do not edit.
.TH "THING" 1 "" nuthatch nuthatch
.SH "NAME"
thing \- does things
.SH "OPTIONS"
Takes \fB\-x\fR or a link, \fBalways\fR.
.TP
\fB\-o FILE\fR
\&.hidden \e text
.IP
\&'quoted'
.PP
.in +4n
.nf
a: b
\&.c: "d"
.fi
.in
`
	if got := m.String(); got != want {
		t.Errorf("the page is\n%s\nwant\n%s", got, want)
	}
}

func TestCheckFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	check := func(want string, update bool) []string {
		return record(t, func(t testing.TB) { CheckFile(t, path, "make it", want, update) })
	}
	expectOne(t, check("a\n", false), "run: make it")
	if messages := check("a\nb\n", true); len(messages) > 0 {
		t.Errorf("%q", messages)
	}
	if text, err := os.ReadFile(path); string(text) != "a\nb\n" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if messages := check("a\nb\n", false); len(messages) > 0 {
		t.Errorf("%q", messages)
	}
	expectOne(t, check("a\nc\n", false), "file:2 is not what the table makes; run: make it")
}
