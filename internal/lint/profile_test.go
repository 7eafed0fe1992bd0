package lint

import (
	"go/ast"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// profilePath is the profile that the compiler optimizes nuthatch by, from here.
const profilePath = "../../cmd/nuthatch/default.pgo"

// freshPart is how much of the time that the profile gives to this module's functions
// must be that of functions which there still are. Below that `make profile` is due.
const freshPart = 0.85

// A hotFunction is a function of this module in a profile: its name as pprof prints it,
// without the module, and its own time.
type hotFunction struct {
	name string
	flat time.Duration
}

// hotFunctions reads what `pprof -top` prints.
func hotFunctions(top string) []hotFunction {
	var found []hotFunction
	for line := range strings.Lines(top) {
		f := strings.Fields(line)
		if len(f) < 6 {
			continue
		}
		name, own := strings.CutPrefix(f[5], module+"/")
		flat, err := time.ParseDuration(f[0])
		if own && err == nil {
			found = append(found, hotFunction{name, flat})
		}
	}
	return found
}

// profileNames are the names that profiles have for the functions of the tree:
// "internal/proxy.(*client).consume". Closures are called after their functions.
func profileNames(files []*source) map[string]bool {
	names := make(map[string]bool)
	for _, f := range files {
		if f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			r := receiver(fn)
			if r == "" {
				names[f.dir+"."+fn.Name.Name] = true
				continue
			}
			names[f.dir+"."+r+"."+fn.Name.Name] = true
			names[f.dir+".(*"+r+")."+fn.Name.Name] = true
		}
	}
	return names
}

// fresh is which part of the functions' time is that of functions that there are, and the
// functions that there are not.
func fresh(hot []hotFunction, names map[string]bool) (part float64, gone []string) {
	var all, known time.Duration
	for _, h := range hot {
		all += h.flat
		name, _, _ := strings.Cut(h.name, ".func")
		name, _, _ = strings.Cut(name, "[")
		name = strings.TrimSuffix(name, "-fm")
		if names[name] {
			known += h.flat
		} else {
			gone = append(gone, h.name)
		}
	}
	if all == 0 {
		return 0, gone
	}
	return float64(known) / float64(all), gone
}

// TestProfile holds the compiler's profile against the functions of the tree.
func TestProfile(t *testing.T) {
	out, err := exec.Command("go", "tool", "pprof", "-top", "-nodecount=10000", "-nodefraction=0", profilePath).Output()
	if err != nil {
		t.Fatal(err)
	}
	if part, gone := fresh(hotFunctions(string(out)), profileNames(tree(t))); part < freshPart {
		t.Errorf("of the time in %s, only %.0f%% is that of functions that there still are: run `make profile`. Gone are %s",
			profilePath, 100*part, strings.Join(gone, ", "))
	}
}

// TestProfileRuleCatches proves that the check above can fail.
func TestProfileRuleCatches(t *testing.T) {
	f, err := parse("internal/p/a.go", []byte("package p\nfunc f() {}\nfunc (*T) m() {}\nfunc (V) m() {}\nfunc (G[K]) m() {}\n"))
	if err != nil {
		t.Fatal(err)
	}
	top := `      flat  flat%   sum%        cum   cum%
     0.30s  1%  1%  0.30s  1%  nuthatch/internal/p.f (inline)
     0.20s  1%  1%  0.20s  1%  nuthatch/internal/p.(*T).m
     100ms  1%  1%  0.20s  1%  nuthatch/internal/p.V.m.func1
     100ms  1%  1%  0.20s  1%  nuthatch/internal/p.G[...].m
     0.30s  1%  1%  0.20s  1%  nuthatch/internal/p.(*T).gone
     9.00s  1%  1%  0.20s  1%  runtime.memmove
`
	part, gone := fresh(hotFunctions(top), profileNames([]*source{f}))
	if part < 0.59 || part > 0.71 || !strings.Contains(strings.Join(gone, " "), "(*T).gone") {
		t.Errorf("%.2f is fresh; gone are %v", part, gone)
	}
}
