package lint

import (
	"fmt"
	"path"
	"strings"
	"testing"
)

// ground is the level of what everybody may import, levels 0 included.
const ground = -1

// levels gives every package its level; imports go strictly downward. A
// package below a listed one (a generator of golden data, say) has that one's
// level, and the two may import each other.
var levels = map[string]int{
	"internal/invariant": ground,
	"internal/version":   ground,
	"internal/pages":     ground,
	"internal/inet":      ground,
	"internal/glob":      ground,
	"internal/units":     ground,

	"internal/proxyheader": 0,

	"internal/acl":         0,
	"internal/mbuf":        0,
	"internal/hashkit":     0,
	"internal/stats":       0,
	"internal/latency":     0,
	"internal/slowlog":     0,
	"internal/events":      0,
	"internal/hotkeys":     0,
	"internal/history":     0,
	"internal/logging":     0,
	"internal/regularfile": 0,

	"internal/eventloop": 1,
	"internal/socket":    0,
	"internal/msg":       1,
	"internal/config":    1,
	"internal/emulate":   1,
	"internal/route":     1,

	"internal/preview":        2,
	"internal/tlsstage":       2,
	"internal/proto/redis":    2,
	"internal/proto/memcache": 2,
	"internal/topology":       2,
	"internal/redisclient":    2,
	"internal/replication":    4,

	"internal/proxy": 3,

	"internal/admin":        4,
	"internal/dashboard":    4,
	"internal/health":       4,
	"internal/sentinel":     4,
	"internal/cluster":      4,
	"internal/peers":        4,
	"internal/sentinelport": 4,

	"internal/tracing": 4,

	"internal/check":   5,
	"internal/ctl":     5,
	"internal/daemon":  5,
	"internal/testkit": 5,
	"internal/lint":    5,

	"internal/demo": 6,
	"internal/top":  6,

	"cmd/nuthatch": 7,

	"bench":            8,
	"examples":         8,
	"test/compat":      8,
	"test/site":        8,
	"test/integration": 8,
	"test/soak":        8,
}

// listed returns the listed package that dir is or lies below.
func listed(dir string) (name string, level int, ok bool) {
	for name = dir; name != "." && name != "/"; name = path.Dir(name) {
		if level, ok = levels[name]; ok {
			return name, level, true
		}
	}
	return "", 0, false
}

// againstLayers returns why a file in dir must not import a package of this
// module, or "". Tests may import what they like, except for the commands.
func againstLayers(dir, imported string, test bool) string {
	from, fromLevel, ok := listed(dir)
	if !ok {
		return fmt.Sprintf("package %s has no level: give it one in internal/lint/layers_test.go", dir)
	}
	to, toLevel, ok := listed(imported)
	switch {
	case !ok:
		return fmt.Sprintf("package %s has no level: give it one in internal/lint/layers_test.go", imported)
	case from == to || test && toLevel <= 5:
		return ""
	case toLevel == ground && fromLevel > ground:
		return ""
	case toLevel < fromLevel:
		return ""
	case toLevel == fromLevel:
		return fmt.Sprintf("%s and %s are neighbours on level %d and must not know each other; "+
			"what both need belongs below them, what joins them above", from, to, fromLevel)
	}
	return fmt.Sprintf("imports go strictly downward, and %s (level %d) stands below %s (level %d); "+
		"let the upper one pass in what the lower one needs", from, fromLevel, to, toLevel)
}

func TestImportsGoDownward(t *testing.T) {
	for _, f := range tree(t) {
		if _, _, ok := listed(f.dir); !ok {
			t.Errorf("%s: package %s has no level: give it one in internal/lint/layers_test.go", f.path, f.dir)
			continue
		}
		f.imports(func(at, imported string, own bool) {
			if why := againstLayers(f.dir, imported, f.test); own && why != "" {
				t.Errorf("%s: must not import %s: %s", at, imported, why)
			}
		})
	}
}

// TestLayersCatch proves that the check above can fail.
func TestLayersCatch(t *testing.T) {
	tests := []struct {
		dir, imported string
		test          bool
		want          string // part of the reason; empty if the import is fine
	}{
		{dir: "internal/mbuf", imported: "internal/invariant"},
		{dir: "internal/proxy", imported: "internal/msg"},
		{dir: "internal/demo", imported: "internal/daemon"},
		{dir: "internal/hashkit/golden", imported: "internal/hashkit"},
		{dir: "internal/hashkit", imported: "internal/testkit", test: true},
		{dir: "internal/hashkit", imported: "internal/testkit", want: "strictly downward"},
		{dir: "internal/invariant", imported: "internal/version", want: "neighbours"},
		{dir: "internal/mbuf", imported: "internal/stats", want: "neighbours"},
		{dir: "internal/eventloop", imported: "internal/msg", want: "neighbours"},
		{dir: "internal/msg", imported: "internal/proxy", want: "strictly downward"},
		{dir: "internal/proxy", imported: "cmd/nuthatch", test: true, want: "strictly downward"},
		{dir: "internal/proxy", imported: "internal/newcomer", want: "has no level"},
		{dir: "internal/newcomer", imported: "internal/mbuf", want: "has no level"},
	}
	for _, tt := range tests {
		got := againstLayers(tt.dir, tt.imported, tt.test)
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s importing %s (test: %t): reason %q, want one with %q",
				tt.dir, tt.imported, tt.test, got, tt.want)
		}
	}
}
