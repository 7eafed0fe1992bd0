package lint

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const flows = "docs/FLOWS.md"

// flowFaults returns what a page of flows names and the tree does not have. A block is a
// row of a table or a paragraph; the functions that it names are in the packages of the
// files that it names.
func flowFaults(page string, files map[string]map[string]bool) (faults []string) {
	file, function := regexp.MustCompile("`([a-z_0-9/]+\\.go)`"), regexp.MustCompile("`([A-Za-z]+)`")
	for _, block := range regexp.MustCompile(`\n\n|\n\|`).Split(page, -1) {
		cells := strings.Split(block, " | ")
		named := file.FindAllStringSubmatch(block, -1)
		if len(named) == 0 {
			continue
		}
		have := map[string]bool{}
		for _, m := range named {
			name := "internal/" + m[1]
			if files[name] == nil {
				faults = append(faults, "there is no file "+name)
			}
			for other, functions := range files {
				if path.Dir(other) == path.Dir(name) {
					for f := range functions {
						have[f] = true
					}
				}
			}
		}
		text := cells[len(cells)-1]
		if len(cells) == 1 {
			text = strings.Join(regexp.MustCompile(`\(([^()]*)\)`).FindAllString(block, -1), " ")
		}
		for _, m := range function.FindAllStringSubmatch(text, -1) {
			if !have[m[1]] {
				faults = append(faults, "no file of that row has the function "+m[1]+": "+strings.TrimSpace(block))
			}
		}
	}
	return faults
}

// functionsOf are the functions and methods of each file that is no test.
func functionsOf(t *testing.T) map[string]map[string]bool {
	files := map[string]map[string]bool{}
	for _, f := range tree(t) {
		if f.test {
			continue
		}
		files[f.path] = map[string]bool{}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				files[f.path][fn.Name.Name] = true
			}
		}
	}
	return files
}

// flowCounts are, by its heading, how many files and functions each table of a page of
// flows names; a file counts once, a function in each row that it does something in.
func flowCounts(page string) map[string][2]int {
	file, function := regexp.MustCompile("`([a-z_0-9/]+\\.go)`"), regexp.MustCompile("`([A-Za-z]+)`")
	counts := map[string][2]int{}
	for _, section := range strings.Split(page, "\n## ")[1:] {
		heading, text, _ := strings.Cut(section, "\n")
		files, functions := map[string]bool{}, 0
		for row := range strings.Lines(text) {
			named := file.FindAllString(row, -1)
			if !strings.HasPrefix(row, "| ") || named == nil {
				continue
			}
			for _, name := range named {
				files[name] = true
			}
			cells := strings.Split(strings.TrimSuffix(strings.TrimSpace(row), " |"), " | ")
			functions += len(function.FindAllString(cells[len(cells)-1], -1))
		}
		counts[heading] = [2]int{len(files), functions}
	}
	return counts
}

// miscounted returns which tables of a page are said to have other numbers of files and
// functions than they have.
func miscounted(page string) (faults []string) {
	said := regexp.MustCompile(`(?m)^\d+ files and \d+ functions`)
	for heading, n := range flowCounts(page) {
		_, text, _ := strings.Cut(page, "\n## "+heading+"\n")
		text, _, _ = strings.Cut(text, "\n## ")
		has := fmt.Sprintf("%d files and %d functions", n[0], n[1])
		if says := said.FindString(text); says != "" && says != has {
			faults = append(faults, heading+": it says "+says+", and has "+has)
		}
	}
	return faults
}

// TestFlowsAreCounted: how long each flow is, is said, and right.
func TestFlowsAreCounted(t *testing.T) {
	text := page(t, flows)
	if n := strings.Count(text, " files and "); n < 3 {
		t.Errorf("%s says of %d flows how long they are, want three", flows, n)
	}
	for _, fault := range miscounted(text) {
		t.Errorf("%s: %s", flows, fault)
	}
	const page = "# Flows\n\n## One\n\n%s\n\n| step | `a/x.go` | `f`, `g` |\n| step | `a/x.go`, `a/y.go` | `f` |\n"
	for said, want := range map[string]int{"2 files and 3 functions.": 0, "3 files and 3 functions.": 1, "2 files and 2 functions.": 1, "": 0} {
		if got := miscounted(fmt.Sprintf(page, said)); len(got) != want {
			t.Errorf("%q: %q, want %d", said, got, want)
		}
	}
}

// TestFlowsAreTrue: the files and functions of docs/FLOWS.md are there.
func TestFlowsAreTrue(t *testing.T) {
	text := page(t, flows)
	if n := strings.Count(text, ".go`"); n < 40 {
		t.Errorf("%s names %d files", flows, n)
	}
	for _, fault := range flowFaults(text, functionsOf(t)) {
		t.Errorf("%s: %s", flows, fault)
	}
}

// TestFlowRulesCatch proves that the check above can fail.
func TestFlowRulesCatch(t *testing.T) {
	files := map[string]map[string]bool{
		"internal/a/x.go": {"f": true}, "internal/a/y.go": {"g": true}, "internal/b/z.go": {"h": true},
	}
	for page, want := range map[string]int{
		"| step | `a/x.go` | `f`, `g` |": 0,
		"| step | `a/x.go` | `h` |":      1,
		"| step | `a/q.go` | `f` |":      1,
		"Text: `b/z.go` (`h`).":          0,
		"Text: `b/z.go` (`f`), `h`.":     1,
		"Text of `partial`.":             0,
	} {
		if got := flowFaults(page, files); len(got) != want {
			t.Errorf("%q: %q, want %d", page, got, want)
		}
	}
}

// namedFaults returns the Go files that a page names and the tree does not have. A name is
// a file's path from the root or from internal/, or the end of one.
func namedFaults(page string, have []string) (faults []string) {
	for _, m := range regexp.MustCompile("`([a-z_0-9/]+\\.go)`").FindAllStringSubmatch(page, -1) {
		if !slices.ContainsFunc(have, func(f string) bool { return f == m[1] || strings.HasSuffix(f, "/"+m[1]) }) {
			faults = append(faults, "there is no file "+m[1])
		}
	}
	return faults
}

// TestNamedFilesExist: the Go files that the pages for those who change the code name are
// there.
func TestNamedFilesExist(t *testing.T) {
	var have []string
	for _, f := range tree(t) {
		have = append(have, f.path)
	}
	for _, name := range []string{"docs/DESIGN.md", "CONTRIBUTING.md"} {
		for _, fault := range namedFaults(page(t, name), have) {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

// TestNamedFileRuleCatches proves that the check above can fail.
func TestNamedFileRuleCatches(t *testing.T) {
	have := []string{"internal/a/x.go", "internal/a/y_test.go"}
	for page, want := range map[string]int{
		"In `a/x.go` and `x.go`, `internal/a/x.go`.": 0,
		"In `y_test.go`.":  0,
		"In `a/z.go`.":     1,
		"In `b/x.go`.":     1,
		"Rows in `*.go`.":  0,
		"Rows in `ax.go`.": 1,
	} {
		if got := namedFaults(page, have); len(got) != want {
			t.Errorf("%q: %q, want %d", page, got, want)
		}
	}
}
