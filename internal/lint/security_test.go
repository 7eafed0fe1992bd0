package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// promises is the chapter of SECURITY.md whose table names tests.
const promises = "## What is checked where"

// testsIn are the tests of one folder in a cell of that table, and testName is one of them.
var (
	testsIn  = regexp.MustCompile("^((?:`(?:Test|Fuzz)[A-Za-z0-9]+`(?:, )?)+) in `([a-z0-9/]+)`$")
	testName = regexp.MustCompile("`([A-Za-z0-9]+)`")
)

// promisedTests returns the tests that the table names, as folder and name, and its faults.
func promisedTests(doc string) (tests [][2]string, faults []string) {
	_, chapter, _ := strings.Cut(doc, promises)
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	for line := range strings.SplitSeq(chapter, "\n") {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| promise |") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for group := range strings.SplitSeq(cells[len(cells)-1], ";") {
			m := testsIn.FindStringSubmatch(strings.TrimSpace(group))
			if m == nil || len(cells) != 3 {
				faults = append(faults, "names no test in the form `TestName` in `folder`: "+line)
				continue
			}
			for _, name := range testName.FindAllStringSubmatch(m[1], -1) {
				tests = append(tests, [2]string{m[2], name[1]})
			}
		}
	}
	return tests, faults
}

// TestPromisesAreTested: each promise of SECURITY.md names tests that exist.
func TestPromisesAreTested(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests, faults := promisedTests(string(doc))
	for _, f := range faults {
		t.Errorf("SECURITY.md: a promise %s", f)
	}
	if len(tests) < 30 {
		t.Errorf("SECURITY.md names %d tests", len(tests))
	}
	for _, test := range tests {
		if !hasTest(t, filepath.Join(root, filepath.FromSlash(test[0])), test[1]) {
			t.Errorf("SECURITY.md: %s has no %s", test[0], test[1])
		}
	}
}

// hasTest reports whether a test file of the folder has the function.
func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}

// TestPromisedTests: what is no test is found.
func TestPromisedTests(t *testing.T) {
	doc := "# X\n\n" + promises + "\n\n| promise | where | tests |\n|---|---|---|\n| a | b | `TestA`, `FuzzB` in `internal/x`; `TestC` in `test/y` |\n| c | d | TestD |\n| e | `TestE` in `f` |\n\n## Y\n| g | h | i |\n"
	tests, faults := promisedTests(doc)
	if len(tests) != 3 || tests[1] != [2]string{"internal/x", "FuzzB"} || tests[2] != [2]string{"test/y", "TestC"} || len(faults) != 2 {
		t.Errorf("%q, faults %q", tests, faults)
	}
}
