package lint

import (
	"go/ast"
	"go/types"
	"regexp"
	"strings"
	"testing"
)

// asked are the values that say what they are by their methods, by the last word of
// the expression that they come from.
var asked = regexp.MustCompile(`(?i)(owner|party|via|way)(\(\))?$`)

// typeQuestions returns where a file of the core asks a value which of the core's own
// types it has. An owner of messages, say, names its party: whoever asks whether it is a
// client forgets the next kind of owner.
func typeQuestions(f *source) []string {
	if f.test || f.dir != "internal/proxy" {
		return nil
	}
	var faults []string
	fault := func(n ast.Node, what string) {
		faults = append(faults, f.at(n.Pos())+": asks "+what+" for its type: "+
			"say what is to be known as a method of its interface (see msg.Owner and msg.Party)")
	}
	// own reports whether an asserted type is a pointer to one of the package's.
	own := func(t ast.Expr) bool {
		star, ok := t.(*ast.StarExpr)
		if !ok {
			return false
		}
		_, ok = star.X.(*ast.Ident)
		return ok
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.TypeAssertExpr:
			// Of x.(type) there is no type: the switch's cases have it.
			if x := types.ExprString(n.X); asked.MatchString(x) || n.Type != nil && own(n.Type) {
				fault(n, x)
			}
		case *ast.TypeSwitchStmt:
			for _, clause := range n.Body.List {
				for _, t := range clause.(*ast.CaseClause).List {
					if own(t) {
						fault(t, "a value")
					}
				}
			}
		}
		return true
	})
	return faults
}

func TestOwnersAreNotAskedForTheirType(t *testing.T) {
	holds(t, typeQuestions)
}

// TestTypeQuestionsCatch proves that the check above can fail.
func TestTypeQuestionsCatch(t *testing.T) {
	tests := []struct {
		name, path, body string
		faults           int
	}{
		{"an owner", "internal/proxy/a.go", `c, ok := m.Owner.(*client)`, 1},
		{"an owner by an interface", "internal/proxy/a.go", `c, ok := m.Owner.(holder)`, 1},
		{"a party", "internal/proxy/a.go", `c := m.Party().(holder)`, 1},
		{"a switch on an owner", "internal/proxy/a.go", `switch m.Owner.(type) { case holder: }`, 1},
		{"under another name", "internal/proxy/a.go", `switch o := o.(type) { case *client, *proof: }`, 2},
		{"a way", "internal/proxy/a.go", `conn := m.Via.(*serverConn)`, 1},
		{"who it is", "internal/proxy/a.go", `_ = m.Owner == &c.handshake`, 0},
		{"an address", "internal/proxy/a.go", `switch a := addr.(type) { case *unix.SockaddrUnix: }`, 0},
		{"a capability", "internal/proxy/a.go", `l, _ := proto.(Learner)`, 0},
		{"elsewhere", "internal/daemon/a.go", `c := m.Owner.(*client)`, 0},
	}
	for _, tt := range tests {
		f, err := parse(tt.path, []byte("package p\nfunc _() { "+tt.body+" }\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := typeQuestions(f); len(got) != tt.faults {
			t.Errorf("%s: %d faults, want %d:\n%s", tt.name, len(got), tt.faults, strings.Join(got, "\n"))
		}
	}
}
