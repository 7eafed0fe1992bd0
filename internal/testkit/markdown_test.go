package testkit

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWrapMarkdown(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("word ", 25))
	code := "`" + strings.TrimSpace(strings.Repeat("a b ", 30)) + "`"
	unchanged := []string{
		"# " + long + "\n\n| " + long + " |\n\n```\n" + long + "\n```\n",
		"<!-- begin x -->\n" + long + "\n<!-- end x -->\n",
		"short\nlines\n\n- an item\n  of two\n",
		code + "\n",
	}
	for _, doc := range unchanged {
		if got := WrapMarkdown(doc); got != doc {
			t.Errorf("%q became %q", doc, got)
		}
	}
	for doc, want := range map[string]string{
		long + "\nshort\n":                            strings.TrimSpace(strings.Repeat("word ", 20)) + "\nword word word word word short\n",
		"- " + long + "\n- b\n":                       "- " + strings.TrimSpace(strings.Repeat("word ", 19)) + "\n  word word word word word word\n- b\n",
		"10. " + long + "\n\nx\n":                     "10. " + strings.TrimSpace(strings.Repeat("word ", 19)) + "\n    word word word word word word\n\nx\n",
		strings.Repeat("word ", 20) + "- a - b # c\n": strings.TrimSpace(strings.Repeat("word ", 19)) + "\nword - a - b # c\n",
	} {
		if got := WrapMarkdown(doc); got != want {
			t.Errorf("%q became\n%q, want\n%q", doc, got, want)
		}
	}
	for line := range strings.Lines(WrapMarkdown("text " + code + " " + long)) {
		if n := utf8.RuneCountInString(line); n > TextWidth+1 && !strings.HasPrefix(line, "`") {
			t.Errorf("%d characters: %s", n, line)
		}
	}
}
