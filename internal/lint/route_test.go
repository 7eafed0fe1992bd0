package lint

import (
	"go/ast"
	"go/types"
	"regexp"
	"strings"
	"testing"
)

// tableWords are what only a route.Table, or a snapshot that has one, is asked, and
// tableCalls what else has a field of that name.
var (
	tableWords = regexp.MustCompile(`^(Table|HomeTable|HomeOwner|Targets|NumShards|IsRandom|IsSlots|ShardOfSlot|OwnerOfSlot|Ring)$`)
	tableCalls = regexp.MustCompile(`^(Shards?|Slot|Place|Owner)$`)
)

// ofPool is what has a pool's servers by their places.
var ofPool = regexp.MustCompile(`(^|\.)(p|r|pool|router)$`)

// routeFaults returns where a file of the core decides by itself where requests go: it
// asks a table, or takes a server by its number. Numbers mean nothing once there is
// another snapshot, and whoever has none cannot keep one.
func routeFaults(f *source) []string {
	base := f.path[strings.LastIndexByte(f.path, '/')+1:]
	if f.test || f.dir != "internal/proxy" || strings.HasPrefix(base, "route") {
		return nil
	}
	var faults []string
	fault := func(at, what string) {
		faults = append(faults, at+": "+what+": where requests go is decided in route.go; ask it for servers")
	}
	f.imports(func(at, imported string, _ bool) {
		if imported == "internal/route" {
			fault(at, "imports route")
		}
	})
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if tableWords.MatchString(n.Sel.Name) {
				fault(f.at(n.Pos()), "asks for "+types.ExprString(n))
			}
		case *ast.CallExpr:
			if x, ok := n.Fun.(*ast.SelectorExpr); ok && tableCalls.MatchString(x.Sel.Name) {
				fault(f.at(n.Pos()), "asks for "+types.ExprString(x))
			}
		case *ast.IndexExpr:
			if x, ok := n.X.(*ast.SelectorExpr); ok && x.Sel.Name == "servers" && ofPool.MatchString(types.ExprString(x.X)) {
				fault(f.at(n.Pos()), "takes a server by its number, "+types.ExprString(n))
			}
		}
		return true
	})
	return faults
}

func TestOneFileRoutes(t *testing.T) {
	holds(t, routeFaults)
}

// TestRouteRuleCatches proves that the check above can fail.
func TestRouteRuleCatches(t *testing.T) {
	tests := []struct {
		name, path, text string
		want             int
	}{
		{"an import", "internal/proxy/fan.go", `import "nuthatch/internal/route"`, 1},
		{"in route.go", "internal/proxy/route.go", `import "nuthatch/internal/route"; var s = r.servers[r.snap.Table.All()[0]]`, 0},
		{"beside it", "internal/proxy/route_snapshot.go", `import "nuthatch/internal/route"`, 0},
		{"a table", "internal/proxy/fan.go", `var n = len(j.snap.Table.All())`, 1},
		{"a table under another name", "internal/proxy/fan.go", `var n = t.Targets(3, 0)`, 1},
		{"a shard", "internal/proxy/fan.go", `var n = t.Shard(key, 0)`, 1},
		{"another shard", "internal/proxy/fan.go", `var n = o.Shard.Values`, 0},
		{"a key's slot", "internal/proxy/server_redirect.go", `var s = hashkit.Slot(key)`, 1},
		{"a slot that somebody named", "internal/proxy/server_redirect.go", `var s = said.Slot`, 0},
		{"a slot's owner", "internal/proxy/fan.go", `var n = t.ShardOfSlot(3)`, 1},
		{"where keys go if nobody is ejected", "internal/proxy/listen.go", `var t = snap.HomeTable()`, 1},
		{"a server's number", "internal/proxy/listen.go", `var n = snap.Place(h)`, 1},
		{"a server by its number", "internal/proxy/fan.go", `var s = p.servers[at]`, 1},
		{"of a client's pool", "internal/proxy/fan.go", `var s = c.pool.servers[at]`, 1},
		{"all servers", "internal/proxy/fan.go", `var n = len(p.servers)`, 0},
		{"a list of its own", "internal/proxy/fan.go", `var s = j.servers[j.next]`, 0},
		{"a test", "internal/proxy/fan_test.go", `var s = p.servers[at]`, 0},
	}
	for _, tt := range tests {
		f, err := parse(tt.path, []byte("package p\n"+tt.text+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := routeFaults(f); len(got) != tt.want {
			t.Errorf("%s: %d faults, want %d:\n%s", tt.name, len(got), tt.want, strings.Join(got, "\n"))
		}
	}
}
