package lint

import (
	"go/ast"
	"regexp"
	"strings"
	"testing"
)

// clocks are the functions of package time that read a clock or start a timer.
var clocks = map[string]bool{
	"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true,
	"AfterFunc": true, "NewTimer": true, "NewTicker": true, "Tick": true,
}

// calls visits every call in a file: of pkg.Func or value.Method with the name
// before the dot, of a plain function with an empty receiver.
func calls(f *source, visit func(call *ast.CallExpr, receiver, name string)) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch fun := call.Fun.(type) {
		case *ast.Ident:
			visit(call, "", fun.Name)
		case *ast.SelectorExpr:
			if x, ok := fun.X.(*ast.Ident); ok {
				visit(call, x.Name, fun.Sel.Name)
			}
		}
		return true
	})
}

// dataPathFaults returns what a file does that nothing on the data path may do.
func dataPathFaults(f *source) []string {
	if f.test || !matches(dataPath, f.dir) {
		return nil
	}
	var faults []string
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if g, ok := n.(*ast.GoStmt); ok {
			faults = append(faults, f.at(g.Pos())+": starts a goroutine: the loop's own goroutine does everything here; "+
				"whatever must wait belongs outside, and posts its result to the loop")
		}
		return true
	})
	calls(f, func(call *ast.CallExpr, receiver, name string) {
		if receiver == "time" && clocks[name] {
			faults = append(faults, f.at(call.Pos())+": calls time."+name+": the loop reads the clock once per turn; take its time")
		}
	})
	return faults
}

// panics returns the calls of panic in a file that must not have any.
func panics(f *source) []string {
	if f.test || !strings.HasPrefix(f.dir, "internal/") || matches([]string{"internal/invariant"}, f.dir) || matches(outside, f.dir) {
		return nil
	}
	var faults []string
	calls(f, func(call *ast.CallExpr, receiver, name string) {
		if receiver == "" && name == "panic" {
			faults = append(faults, f.at(call.Pos())+": panics: errors are values here; what must always hold is an invariant.Check")
		}
	})
	return faults
}

// platform are the packages above eventloop that know addresses and error numbers, and
// no descriptor.
var platform = []string{"internal/proxy/...", "internal/topology/..."}

// platformFaults returns what a file above eventloop takes of the platform beside
// addresses and error numbers.
func platformFaults(f *source) []string {
	if f.test || !matches(platform, f.dir) {
		return nil
	}
	var faults []string
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok || x.Name != "unix" && x.Name != "syscall" {
			return true
		}
		if name := sel.Sel.Name; !strings.HasPrefix(name, "Sockaddr") && name != "Errno" && (name[0] != 'E' || name != strings.ToUpper(name)) {
			faults = append(faults, f.at(sel.Pos())+": uses "+x.Name+"."+name+": no descriptor and no system call is above eventloop; "+
				"what a connection must be asked is a method of eventloop.Conn")
		}
		return true
	})
	return faults
}

// belowDescriptors are the packages that may know descriptors as numbers: those that
// make the system calls, and what stands in for other processes in tests.
var belowDescriptors = []string{"internal/eventloop/...", "internal/socket/...", "internal/pages", "internal/testkit/..."}

// descriptorName is what a descriptor is called.
var descriptorName = regexp.MustCompile(`^(fds?|fileno|FDs?)$`)

// descriptorFaults returns where a file above eventloop has a descriptor as a number:
// by its name, or by asking a file for it.
func descriptorFaults(f *source) []string {
	if f.test || !strings.HasPrefix(f.dir, "internal/") || matches(belowDescriptors, f.dir) {
		return nil
	}
	var faults []string
	fault := func(n ast.Node, what string) {
		faults = append(faults, f.at(n.Pos())+": "+what+": no descriptor is above eventloop; it has types for what is accepted "+
			"(Accepted), what listens and is passed to other processes (ListenSocket), and what is connected (Conn)")
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			if descriptorName.MatchString(n.Name) {
				fault(n, "names a descriptor, "+n.Name)
			}
		case *ast.SelectorExpr:
			if n.Sel.Name == "Fd" || n.Sel.Name == "SyscallConn" {
				fault(n, "asks for a descriptor by "+n.Sel.Name)
			}
		}
		return true
	})
	return faults
}

// signatureFaults returns which exported functions and methods of eventloop take or
// give a descriptor, those of exported interfaces included.
func signatureFaults(f *source) []string {
	if f.test || f.dir != "internal/eventloop" {
		return nil
	}
	var faults []string
	check := func(name *ast.Ident, t *ast.FuncType) {
		lists := []*ast.FieldList{t.Params, t.Results}
		for _, list := range lists {
			for i := 0; list != nil && i < len(list.List); i++ {
				for _, p := range list.List[i].Names {
					if name.IsExported() && descriptorName.MatchString(p.Name) {
						faults = append(faults, f.at(name.Pos())+": "+name.Name+" tells of a descriptor: nobody above eventloop has one")
					}
				}
			}
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			check(n.Name, n.Type)
		case *ast.InterfaceType:
			for _, m := range n.Methods.List {
				if t, ok := m.Type.(*ast.FuncType); ok {
					check(m.Names[0], t)
				}
			}
		}
		return true
	})
	return faults
}

func TestNoDescriptorAboveTheLoop(t *testing.T) {
	holds(t, platformFaults)
	holds(t, descriptorFaults)
	holds(t, signatureFaults)
}

// TestDescriptorRulesCatch proves that they can fail.
func TestDescriptorRulesCatch(t *testing.T) {
	tests := []struct {
		name, path, text string
		want             int
	}{
		{"a parameter", "internal/proxy/a.go", `func accept(fd int) {}`, 1},
		{"a field, and its use", "internal/daemon/a.go", `type l struct { fd int }; var x = y.fd`, 2},
		{"a list", "internal/daemon/a.go", `var fds []int`, 1},
		{"a file's", "internal/admin/a.go", `var x = f.Fd()`, 1},
		{"a connection's", "internal/admin/a.go", `func _() { c.SyscallConn() }`, 1},
		{"for display", "internal/proxy/a.go", `func _() { f("fd", c.ShownFD()) }`, 0},
		{"below", "internal/socket/a.go", `func Name(fd int) string { return "" }`, 0},
		{"a test", "internal/proxy/a_test.go", `func accept(fd int) {}`, 0},
		{"what eventloop takes", "internal/eventloop/a.go", `func (l *Loop) Attach(c *Conn, fd int) {}`, 1},
		{"what it gives", "internal/eventloop/a.go", `func (l *Loop) Dial() (fd int, err error) { return }`, 1},
		{"what it has others implement", "internal/eventloop/a.go", `type Acceptor interface { OnAccept(fd int) }`, 1},
		{"what is its own", "internal/eventloop/a.go", `func (l *Loop) attach(fd int) {}; type engine interface { tune(fd int) }`, 0},
	}
	for _, tt := range tests {
		f, err := parse(tt.path, []byte("package p\n"+tt.text+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := append(descriptorFaults(f), signatureFaults(f)...); len(got) != tt.want {
			t.Errorf("%s: %d faults, want %d:\n%s", tt.name, len(got), tt.want, strings.Join(got, "\n"))
		}
	}
}

func TestDataPathKeepsToItsLoop(t *testing.T) {
	holds(t, dataPathFaults)
}

func TestOnlyInvariantsPanic(t *testing.T) {
	holds(t, panics)
}

// TestDataPathRulesCatch proves that the checks above can fail.
func TestDataPathRulesCatch(t *testing.T) {
	tests := []struct {
		name, path, body string
		want             []string // parts of the faults, in order
	}{
		{"clean", "internal/proxy/a.go", `x := f(); x.Now()`, nil},
		{"goroutine", "internal/proxy/a.go", `go f()`, []string{"a.go:2: starts a goroutine"}},
		{"clock", "internal/proto/redis/a.go", `f(time.Now())`, []string{"calls time.Now"}},
		{"timer", "internal/msg/a.go", `defer time.AfterFunc(0, f)`, []string{"calls time.AfterFunc"}},
		{"panic", "internal/mbuf/a.go", `panic("no")`, []string{"panics"}},
		{"a test may", "internal/proxy/a_test.go", `go f(); time.Sleep(1); panic("no")`, nil},
		{"invariant may panic", "internal/invariant/a.go", `panic("yes")`, nil},
		{"outside the data path", "internal/daemon/a.go", `go f(); time.Now()`, nil},
		{"addresses and errors", "internal/proxy/a.go", `f(&unix.SockaddrUnix{}, syscall.EPIPE, syscall.Errno(1))`, nil},
		{"a system call", "internal/proxy/a.go", `unix.Close(1)`, []string{"uses unix.Close"}},
		{"a constant of one", "internal/topology/a.go", `f(syscall.AF_UNIX)`, []string{"uses syscall.AF_UNIX"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := parse(tt.path, []byte("package p\nfunc _() { "+tt.body+" }\n"))
			if err != nil {
				t.Fatal(err)
			}
			got := append(append(dataPathFaults(f), panics(f)...), platformFaults(f)...)
			if len(got) != len(tt.want) {
				t.Fatalf("faults %q, want %d", got, len(tt.want))
			}
			for i := range got {
				if !strings.Contains(got[i], tt.want[i]) {
					t.Errorf("fault %q, want one with %q", got[i], tt.want[i])
				}
			}
		})
	}
}
