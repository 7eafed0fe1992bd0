package lint

import (
	"go/ast"
	"path"
	"regexp"
	"slices"
	"testing"
)

// How long things may grow, in lines.
const (
	maxFileLines     = 600
	maxFunctionLines = 80
)

// vague are package names that say nothing about what is inside, so that
// everything ends up there.
var vague = []string{
	"base", "common", "helper", "helpers", "lib", "misc", "shared", "type", "types", "util", "utils",
}

// leftOver are the markers of work that was not finished. The words are split
// so that this file passes its own test.
var leftOver = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)

func TestFilesStaySmall(t *testing.T) {
	for _, f := range tree(t) {
		if f.lines >= maxFileLines && !ast.IsGenerated(f.ast) {
			t.Errorf("%s has %d lines, %d is too many: split it by concern", f.path, f.lines, maxFileLines)
		}
	}
}

func TestFunctionsStaySmall(t *testing.T) {
	for _, f := range tree(t) {
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			lines := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1
			if lines >= maxFunctionLines {
				t.Errorf("%s: %s has %d lines, %d is too many: name its parts", f.at(fn.Pos()), fn.Name.Name, lines, maxFunctionLines)
			}
		}
	}
}

func TestPackageNamesSaySomething(t *testing.T) {
	for _, f := range tree(t) {
		if base := path.Base(f.dir); slices.Contains(vague, base) || slices.Contains(vague, f.ast.Name.Name) {
			t.Errorf("%s: a package named %s is about nothing; name it after what it provides", f.path, base)
		}
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range tree(t) {
		documented[f.dir] = documented[f.dir] || f.ast.Doc != nil
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment: say what it is for, what flows through it and what it never does", dir)
		}
	}
}

func TestNothingIsLeftOver(t *testing.T) {
	for _, f := range tree(t) {
		for _, group := range f.ast.Comments {
			for _, c := range group.List {
				if marker := leftOver.FindString(c.Text); marker != "" {
					t.Errorf("%s: a comment says %s: do it, or leave it to the tracker", f.at(c.Pos()), marker)
				}
			}
		}
	}
}

func TestNoTestIsSkipped(t *testing.T) {
	for _, f := range tree(t) {
		calls(f, func(call *ast.CallExpr, receiver, name string) {
			switch name {
			case "Skip", "Skipf", "SkipNow":
				if f.test || f.dir == "internal/testkit" {
					t.Errorf("%s: %s.%s: a test that can be skipped proves nothing; "+
						"`make deps` installs what tests need", f.at(call.Pos()), receiver, name)
				}
			}
		})
	}
}
