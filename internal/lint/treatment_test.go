package lint

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"
)

// lateTreatments returns where a file sets what becomes of a request, and is not its
// parser. Who looks at a request later says "answered here" by a result that is not ok.
func lateTreatments(f *source) []string {
	if f.test || !matches(dataPath, f.dir) {
		return nil
	}
	var faults []string
	fault := func(n ast.Node) {
		faults = append(faults, f.at(n.Pos())+": sets a request's treatment: only its parser does; "+
			"whoever looks at it later is not ok (see proxy.Protocol)")
	}
	for _, d := range f.ast.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || isMethodOf(fn, "requestParser") {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, to := range n.Lhs {
					if x, ok := to.(*ast.SelectorExpr); ok && x.Sel.Name == "Treatment" {
						fault(n)
					}
				}
			case *ast.CompositeLit:
				if n.Type == nil || types.ExprString(n.Type) != "msg.Request" {
					return true
				}
				for _, e := range n.Elts {
					if kv, ok := e.(*ast.KeyValueExpr); ok && types.ExprString(kv.Key) == "Treatment" {
						fault(n)
					}
				}
			}
			return true
		})
	}
	return faults
}

// isMethodOf tells whether a function is a method of that type or of a pointer to it.
func isMethodOf(fn *ast.FuncDecl, name string) bool {
	return fn.Recv != nil && strings.TrimPrefix(types.ExprString(fn.Recv.List[0].Type), "*") == name
}

// orders are the comparisons that ask which of two values is the greater.
var orders = map[token.Token]bool{token.LSS: true, token.LEQ: true, token.GTR: true, token.GEQ: true}

// treatments are the names of what may become of a request.
func treatments(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, f := range tree(t) {
		if f.dir != "internal/msg" || f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			block, ok := d.(*ast.GenDecl)
			if !ok || block.Tok != token.CONST {
				continue
			}
			if first, ok := block.Specs[0].(*ast.ValueSpec); !ok || first.Type == nil || types.ExprString(first.Type) != "Treatment" {
				continue
			}
			for _, spec := range block.Specs {
				names = append(names, spec.(*ast.ValueSpec).Names[0].Name)
			}
		}
	}
	if len(names) < 2 {
		t.Fatalf("the treatments are not found: %q", names)
	}
	return names
}

// orderedTreatments returns where a file takes a treatment, one of those names or a value
// that is called so, for a number.
func orderedTreatments(f *source, names []string) []string {
	isTreatment := func(x ast.Expr) bool {
		text := types.ExprString(x)
		name, of := strings.CutPrefix(text, "msg.")
		return strings.HasSuffix(strings.ToLower(text), "treatment") ||
			(of || f.dir == "internal/msg") && slices.Contains(names, name)
	}
	var faults []string
	ast.Inspect(f.ast, func(n ast.Node) bool {
		x, ok := n.(*ast.BinaryExpr)
		if !ok || !orders[x.Op] {
			return true
		}
		if isTreatment(x.X) || isTreatment(x.Y) {
			faults = append(faults, f.at(x.Pos())+": compares treatments by their order, which means nothing: "+
				"ask ByKeys or ToServers, or name what you ask")
		}
		return true
	})
	return faults
}

func TestOnlyParsersSetTreatments(t *testing.T) {
	holds(t, lateTreatments)
}

func TestTreatmentsHaveNoOrder(t *testing.T) {
	names := treatments(t)
	holds(t, func(f *source) []string { return orderedTreatments(f, names) })
}

// TestTreatmentRulesCatch proves that the checks above can fail.
func TestTreatmentRulesCatch(t *testing.T) {
	tests := []struct {
		name, path, text string
		faults           int
	}{
		{"a parser", "internal/proto/redis/a.go", `func (p *requestParser) f() { p.req.Treatment = msg.Local }`, 0},
		{"a parser makes one", "internal/proto/memcache/a.go", `func (p *requestParser) f() { p.req = msg.Request{Treatment: msg.Local} }`, 0},
		{"a protocol", "internal/proto/redis/a.go", `func (p *Protocol) f() { req.Treatment, req.Error = msg.Local, "x" }`, 1},
		{"a protocol makes one", "internal/proto/redis/a.go", `func (p *Protocol) f() { r := msg.Request{Treatment: msg.Local} }`, 1},
		{"the core", "internal/proxy/a.go", `func f() { req.Treatment = msg.Local }`, 1},
		{"a row of a table", "internal/proto/redis/a.go", `func f() command { return command{treatment: msg.Local} }`, 0},
		{"a question", "internal/proxy/a.go", `func f() { _ = req.Treatment == msg.Local }`, 0},
		{"an order", "internal/proxy/a.go", `func f() { _ = req.Treatment > msg.Fragment }`, 1},
		{"an order of a value's", "internal/proxy/a.go", `func f() { _ = t <= msg.Local }`, 1},
		{"an order at home", "internal/msg/a.go", `func f() { _ = t <= Local }`, 1},
		{"another order", "internal/proxy/a.go", `func f() { _ = n <= Local }`, 0},
		{"an order of a row's", "internal/proto/redis/a_test.go", `func f() { _ = msg.One >= c.treatment }`, 1},
	}
	for _, tt := range tests {
		f, err := parse(tt.path, []byte("package p\n"+tt.text+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := append(lateTreatments(f), orderedTreatments(f, treatments(t))...); len(got) != tt.faults {
			t.Errorf("%s: %d faults, want %d:\n%s", tt.name, len(got), tt.faults, strings.Join(got, "\n"))
		}
	}
}
