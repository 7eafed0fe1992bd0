package lint

import (
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"
)

// mostMethods is how many methods a type may have: a type that needs more is several.
// What it embeds counts for what is embedded.
const mostMethods = 40

// receiver is the type whose method a function is; empty: it is none.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return ""
	}
	t := f.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// methodsOf counts the methods of each type, by "directory.Type". Tests' do not count.
func methodsOf(files []*source) map[string]int {
	n := make(map[string]int)
	for _, f := range files {
		if f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && receiver(fn) != "" {
				n[f.dir+"."+receiver(fn)]++
			}
		}
	}
	return n
}

// methodFaults returns which types have more methods than they may.
func methodFaults(count map[string]int) []string {
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(count)) {
		if n := count[name]; n > mostMethods {
			faults = append(faults, fmt.Sprintf("%s has %d methods, more than %d: make what belongs together a type of its own",
				name, n, mostMethods))
		}
	}
	return faults
}

func TestTypesAreSmall(t *testing.T) {
	for _, fault := range methodFaults(methodsOf(tree(t))) {
		t.Error(fault)
	}
}

// TestMethodRulesCatch proves that the check above can fail.
func TestMethodRulesCatch(t *testing.T) {
	var body strings.Builder
	body.WriteString("package p\n")
	for i := range 41 {
		fmt.Fprintf(&body, "func (*T) m%d() {}\nfunc (G[K, V]) m%d() {}\nfunc f%d() {}\n", i, i, i)
	}
	for i := range 40 {
		fmt.Fprintf(&body, "func (S) m%d() {}\n", i)
	}
	f, err := parse("internal/p/a.go", []byte(body.String()))
	if err != nil {
		t.Fatal(err)
	}
	test, err := parse("internal/p/a_test.go", []byte(body.String()))
	if err != nil {
		t.Fatal(err)
	}
	count := methodsOf([]*source{f, test})
	if count["internal/p.T"] != 41 || count["internal/p.G"] != 41 || count["internal/p.S"] != 40 || len(count) != 3 {
		t.Fatalf("counted %v", count)
	}
	got := methodFaults(count)
	if len(got) != 2 || !strings.Contains(got[0], "p.G has 41") || !strings.Contains(got[1], "p.T has 41") {
		t.Errorf("faults %q, want one of G and one of T, and none of S", got)
	}
}
