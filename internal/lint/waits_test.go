package lint

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// A waitBit is a reason to hold a client's next request: where it is set and cleared.
type waitBit struct{ sets, clears []string }

// waitBits finds the constants of proxy's type wait, and the statements that set and clear
// them. What is done to several at once, or by a plain assignment, is a fault.
func waitBits(files []*source) (bits map[string]*waitBit, faults []string) {
	bits = make(map[string]*waitBit)
	eachNode := func(visit func(f *source, n ast.Node)) {
		for _, f := range files {
			if f.dir == "internal/proxy" && !f.test {
				ast.Inspect(f.ast, func(n ast.Node) bool { visit(f, n); return true })
			}
		}
	}
	eachNode(func(_ *source, n ast.Node) {
		decl, ok := n.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			return
		}
		isWait := false
		for _, spec := range decl.Specs {
			spec := spec.(*ast.ValueSpec)
			if t, ok := spec.Type.(*ast.Ident); ok {
				isWait = t.Name == "wait"
			}
			if isWait && (spec.Type != nil || spec.Values == nil) {
				bits[spec.Names[0].Name] = &waitBit{}
			}
		}
	})
	eachNode(func(f *source, n ast.Node) {
		s, ok := n.(*ast.AssignStmt)
		if !ok {
			return
		}
		if x, ok := s.Lhs[0].(*ast.SelectorExpr); !ok || x.Sel.Name != "waits" {
			return
		}
		at := f.at(s.Pos())
		name, _ := s.Rhs[0].(*ast.Ident)
		switch {
		case name == nil || bits[name.Name] == nil:
			faults = append(faults, at+": changes more than one reason to wait, or none that is known")
		case s.Tok == token.OR_ASSIGN:
			bits[name.Name].sets = append(bits[name.Name].sets, at)
		case s.Tok == token.AND_NOT_ASSIGN:
			bits[name.Name].clears = append(bits[name.Name].clears, at)
		default:
			faults = append(faults, at+": changes all reasons to wait at once")
		}
	})
	return bits, faults
}

// waitFaults returns which reasons are not set in one place and cleared in one, of the
// same file: their owner's.
func waitFaults(files []*source) []string {
	bits, faults := waitBits(files)
	file := func(at string) string { return at[:strings.LastIndexByte(at, ':')] }
	for name, b := range bits {
		if len(b.sets) != 1 || len(b.clears) != 1 || file(b.sets[0]) != file(b.clears[0]) {
			faults = append(faults, name+" is set at "+strings.Join(b.sets, ", ")+" and cleared at "+strings.Join(b.clears, ", ")+
				": each reason to wait has one setter and one clearer, in its owner's file; whoever else is concerned calls them")
		}
	}
	slices.Sort(faults)
	return faults
}

func TestReasonsToWaitHaveOwners(t *testing.T) {
	files := tree(t)
	if bits, _ := waitBits(files); len(bits) == 0 {
		t.Fatal("there are no reasons to wait: has the type another name?")
	}
	for _, fault := range waitFaults(files) {
		t.Error(fault)
	}
}

// TestWaitRuleCatches proves that the check above can fail.
func TestWaitRuleCatches(t *testing.T) {
	const consts = "const (\n waitsA wait = 1 << iota\n waitsB\n both = waitsA | waitsB\n)\n"
	good := "func _() { c.waits |= waitsA; c.waits &^= waitsA; c.waits |= waitsB; c.waits &^= waitsB; _ = c.waits & both }\n"
	tests := []struct {
		name, text, other string
		want              int
	}{
		{"each once", good, "", 0},
		{"set twice", good, "func _() { c.waits |= waitsA }", 1},
		{"cleared elsewhere", "func _() { c.waits |= waitsA; c.waits |= waitsB; c.waits &^= waitsB }\n", "func _() { c.waits &^= waitsA }", 1},
		{"never cleared", "func _() { c.waits |= waitsA; c.waits |= waitsB; c.waits &^= waitsB }\n", "", 1},
		{"two at once", good, "func _() { c.waits &^= waitsA | waitsB }", 1},
		{"by their name together", good, "func _() { c.waits &^= both }", 1},
		{"overwritten", good, "func _() { c.waits = waitsA }", 1},
	}
	for _, tt := range tests {
		var files []*source
		for path, text := range map[string]string{"internal/proxy/a.go": consts + tt.text, "internal/proxy/b.go": tt.other} {
			f, err := parse(path, []byte("package proxy\n"+text+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		if got := waitFaults(files); len(got) != tt.want {
			t.Errorf("%s: %d faults, want %d:\n%s", tt.name, len(got), tt.want, strings.Join(got, "\n"))
		}
	}
}
