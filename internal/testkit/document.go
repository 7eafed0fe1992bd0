package testkit

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// CheckPart compares a part of the document at path with the text that a table makes
// of it, or writes that text there if update is set. The part stands between two lines:
//
//	<!-- begin NAME: written by `COMMAND` from ... -->
//	<!-- end NAME -->
//
// The failure shows the first line that differs, and the command.
func CheckPart(t testing.TB, path, name, want string, update bool) {
	t.Helper()
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	part := regexp.MustCompile("(?s)<!-- begin " + name + ": written by `([^`\n]+)`[^\n]* -->\n(.*?)<!-- end " + name + " -->\n")
	at := part.FindSubmatchIndex(doc)
	if at == nil {
		t.Fatalf("%s has no lines <!-- begin %s: written by `COMMAND` ... --> and, below, <!-- end %s -->", path, name, name)
	}
	command, got, begin, end := doc[at[2]:at[3]], string(doc[at[4]:at[5]]), at[4], at[5]
	switch {
	case got == want:
	case update:
		if err := os.WriteFile(path, slices.Concat(doc[:begin], []byte(want), doc[end:]), 0o600); err != nil {
			t.Fatal(err)
		}
	default:
		n, has, makes := differingLine(got, want)
		t.Errorf("%s:%d is not what the table makes; run: %s\n  has   %q\n  want  %q",
			path, bytes.Count(doc[:begin], []byte("\n"))+n, command, has, makes)
	}
}

// differingLine is the first line in which two texts differ, counted from 1, with its
// end; behind the end of a text it is empty.
func differingLine(a, b string) (n int, inA, inB string) {
	as, bs := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	for as[n] == bs[n] {
		n++
	}
	return n + 1, as[n], bs[n]
}
