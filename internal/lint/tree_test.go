package lint

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the path that all our own imports begin with.
const module = "nuthatch"

// source is one Go file of the module, build tags or not.
type source struct {
	path  string // slash-separated, from the module's root
	dir   string // the package's directory: "internal/proxy"
	test  bool   // *_test.go
	lines int
	fset  *token.FileSet
	ast   *ast.File
}

// at returns the place of a node as path:line.
func (s *source) at(pos token.Pos) string {
	return s.path + ":" + strconv.Itoa(s.fset.Position(pos).Line)
}

// imports calls visit for every import, with the place, the path, and whether
// it is one of this module's packages. Those are named by directory, "internal/proxy".
func (s *source) imports(visit func(at, path string, own bool)) {
	for _, spec := range s.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the compiler will say it
		}
		p, own := strings.CutPrefix(p, module+"/")
		visit(s.at(spec.Pos()), p, own)
	}
}

// tree returns the module's Go files, other modules inside it and testdata left out.
func tree(t *testing.T) []*source {
	t.Helper()
	files, err := readTree()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// holds reports what each file of the module has against a rule.
func holds(t *testing.T, rule func(*source) []string) {
	t.Helper()
	for _, f := range tree(t) {
		for _, fault := range rule(f) {
			t.Error(fault)
		}
	}
}

// page returns the text of a document, named from the module's root.
func page(t *testing.T, name string) string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// readTree reads the files once for all tests.
var readTree = sync.OnceValues(func() ([]*source, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	var files []*source
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != root && leaveOut(name, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		s, err := parse(filepath.ToSlash(rel), text)
		files = append(files, s)
		return err
	})
	return files, err
})

// parse reads one file.
func parse(name string, text []byte) (*source, error) {
	s := &source{
		path:  name,
		dir:   path.Dir(name),
		test:  strings.HasSuffix(name, "_test.go"),
		lines: bytes.Count(text, []byte("\n")),
		fset:  token.NewFileSet(),
	}
	var err error
	s.ast, err = parser.ParseFile(s.fset, name, text, parser.ParseComments)
	return s, err
}

// leaveOut tells whether a directory is not part of the module's packages.
func leaveOut(name, base string) bool {
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil
}

// moduleRoot returns the directory of go.mod, from the package's directory upwards.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = parent
	}
}
