package lint

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"nuthatch/internal/testkit"
)

var update = flag.Bool("update", false, "break the lines of the documents that are too long")

// documents are the module's Markdown files, slash-separated, from the module's root.
func documents(t *testing.T) (root string, paths []string) {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				t.Fatal(err)
			}
			paths = append(paths, filepath.ToSlash(rel))
		}
	}
	if !slices.Contains(paths, "README.md") || len(paths) < 10 {
		t.Fatalf("the documents are %q", paths)
	}
	return root, paths
}

// longLines returns the lines of prose that are too long.
func longLines(doc string) []string {
	var faults []string
	testkit.VisitMarkdown(doc, func(n int, line string, prose bool) {
		if width := utf8.RuneCountInString(line); prose && width > testkit.TextWidth && strings.Contains(strings.TrimSpace(line), " ") {
			faults = append(faults, fmt.Sprintf("%d: %d characters: %.40s...", n, width, line))
		}
	})
	return faults
}

// TestDocumentsHaveOneLineLength: prose has lines of at most 100 characters.
func TestDocumentsHaveOneLineLength(t *testing.T) {
	root, paths := documents(t)
	for _, path := range paths {
		name := filepath.Join(root, path)
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(name, []byte(testkit.WrapMarkdown(string(text))), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for _, fault := range longLines(string(text)) {
			t.Errorf("%s:%s; run: go test ./internal/lint -run Documents -update", path, fault)
		}
	}
}

// withoutBlocks is a document without its blocks of code.
func withoutBlocks(doc string) string {
	var b strings.Builder
	fenced := false
	for line := range strings.Lines(doc) {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		if fence {
			fenced = !fenced
		}
		if !fence && !fenced {
			b.WriteString(line)
		}
	}
	return b.String()
}

// heading is the text of a heading, as the rest of its line.
var heading = regexp.MustCompile("(?m)^#{1,6} +(.*)$")

// anchors are the names of a document's headings, made as GitHub makes them.
func anchors(doc string) map[string]bool {
	names := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(withoutBlocks(doc), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(m[1]))
		for n, base := 1, name; names[name]; n++ {
			name = fmt.Sprintf("%s-%d", base, n)
		}
		names[name] = true
	}
	return names
}

// links are the targets of a document's links and images, code left out.
func links(doc string) []string {
	doc = regexp.MustCompile("``[^\n]*?``|`[^`\n]*`").ReplaceAllString(withoutBlocks(doc), "code")
	var targets []string
	for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(doc, -1) {
		targets = append(targets, m[1])
	}
	return targets
}

// brokenLinks returns the relative links of a document that lead nowhere. read gives a
// file by its path from the module's root, and is asked for "" of a folder.
func brokenLinks(path, doc string, read func(path string) (string, error)) []string {
	var faults []string
	for _, target := range links(doc) {
		if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
			continue
		}
		file, anchor, _ := strings.Cut(target, "#")
		to, text := path, doc
		if file != "" {
			var err error
			to = filepath.ToSlash(filepath.Join(filepath.Dir(path), file))
			if text, err = read(to); err != nil {
				faults = append(faults, fmt.Sprintf("%s: a link to %s, which is not there", path, target))
				continue
			}
		}
		if anchor != "" && !anchors(text)[anchor] {
			faults = append(faults, fmt.Sprintf("%s: a link to %s, and %s has no such heading", path, target, to))
		}
	}
	return faults
}

// TestLinksInDocumentsResolve: each relative link has its file and its heading.
func TestLinksInDocumentsResolve(t *testing.T) {
	root, paths := documents(t)
	read := func(path string) (string, error) {
		name := filepath.Join(root, path)
		if info, err := os.Stat(name); err != nil || info.IsDir() {
			return "", err
		}
		text, err := os.ReadFile(name)
		return string(text), err
	}
	for _, path := range paths {
		doc, err := read(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range brokenLinks(path, doc, read) {
			t.Error(fault)
		}
	}
}

// TestDocumentRulesCatch proves that the checks above can fail.
func TestDocumentRulesCatch(t *testing.T) {
	files := map[string]string{"docs/B.md": "# Of `x.y`, and Z\n\n## a\n\n## a\n"}
	read := func(path string) (string, error) {
		text, ok := files[path]
		if !ok {
			return "", os.ErrNotExist
		}
		return text, nil
	}
	for doc, want := range map[string]string{
		"[b](B.md) [b](B.md#of-xy-and-z) [b](B.md#a-1) [w](https://x/y)": "",
		"## Here\n\n[h](#here) `[n](no.md)`\n\n```\n[n](no.md)\n```\n":   "",
		"[b](no.md)":        "which is not there",
		"[b](B.md#nowhere)": "has no such heading",
		"[b](B.md#a-2)":     "has no such heading",
		"[h](#here)":        "has no such heading",
	} {
		faults := brokenLinks("docs/A.md", doc, read)
		if got := strings.Join(faults, "\n"); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", doc, got, want)
		}
	}
	long := strings.TrimSpace(strings.Repeat("word ", 30))
	for doc, want := range map[string]int{
		long + "\n":            1,
		"- " + long + "\n":     1,
		"| " + long + "\n":     0,
		"# " + long + "\n":     0,
		"```\n" + long + "```": 0,
		"<!-- begin x -->\n" + long + "\n<!-- end x -->\n": 0,
		strings.Repeat("w", 200):                           0,
	} {
		if got := longLines(doc); len(got) != want {
			t.Errorf("%q: %q, want %d", doc, got, want)
		}
	}
}
