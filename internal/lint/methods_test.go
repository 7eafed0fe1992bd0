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

// larger are the types that have more, and how many they may have at the most. A number
// only goes down, and a type that no longer needs one loses it.
var larger = map[string]int{
	"internal/proxy.ServerPool": 55, // the loop's part of a pool: walks over clients, adoption, counting
	"internal/proxy.serverConn": 54, // handler, dialling, faults, retries
}

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
func methodFaults(count, larger map[string]int) []string {
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(count)) {
		n := count[name]
		most, known := larger[name]
		switch {
		case n <= mostMethods && known:
			faults = append(faults, fmt.Sprintf("%s has %d methods: take it off the list of larger types", name, n))
		case n > max(most, mostMethods):
			faults = append(faults, fmt.Sprintf("%s has %d methods, more than %d: make what belongs together a type of its own",
				name, n, max(most, mostMethods)))
		}
	}
	for name := range larger {
		if count[name] == 0 {
			faults = append(faults, name+" is on the list of larger types, and there is no such type")
		}
	}
	return faults
}

func TestTypesAreSmall(t *testing.T) {
	for _, fault := range methodFaults(methodsOf(tree(t)), larger) {
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
	for _, tt := range []struct {
		name   string
		larger map[string]int
		want   []string
	}{
		{"too many", nil, []string{"p.G has 41", "p.T has 41"}},
		{"known", map[string]int{"internal/p.T": 41, "internal/p.G": 50}, nil},
		{"more than known", map[string]int{"internal/p.T": 41, "internal/p.G": 40}, []string{"p.G has 41"}},
		{"small", map[string]int{"internal/p.T": 41, "internal/p.G": 41, "internal/p.S": 50}, []string{"p.S has 40 methods: take it off"}},
		{"gone", map[string]int{"internal/p.T": 41, "internal/p.G": 41, "internal/p.X": 50}, []string{"p.X is on the list"}},
	} {
		got := methodFaults(count, tt.larger)
		if len(got) != len(tt.want) {
			t.Errorf("%s: faults %q, want %d", tt.name, got, len(tt.want))
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], tt.want[i]) {
				t.Errorf("%s: fault %q, want one with %q", tt.name, got[i], tt.want[i])
			}
		}
	}
}
