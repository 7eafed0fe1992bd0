package lint

import (
	"strings"
	"testing"
)

// rule forbids an import that the layers alone would allow. Patterns name one
// package, or with /... it and everything below.
type rule struct {
	from   []string
	to     []string
	except []string // packages that from covers and that may
	tests  bool     // the rule holds for tests as well
	why    string
}

var (
	everywhere = []string{"..."}

	// dataPath is what runs on an event loop for every request.
	dataPath = []string{
		"internal/mbuf", "internal/hashkit", "internal/msg", "internal/proto/...", "internal/proxy/...",
		"internal/latency", "internal/slowlog", "internal/events", "internal/hotkeys", "internal/route", "internal/topology", "internal/emulate",
	}

	// pure is what turns bytes into other bytes and touches nothing else.
	pure = []string{
		"internal/mbuf", "internal/hashkit", "internal/stats", "internal/msg", "internal/route", "internal/proto/...",
		"internal/latency", "internal/slowlog", "internal/events", "internal/hotkeys",
	}

	// outside is what may use test code and clients without being a test file.
	outside = []string{"internal/testkit/...", "test/...", "bench/...", "examples/...", "internal/hashkit/golden/..."}
)

var rules = []rule{
	{
		from: []string{"internal/proto/redis"}, to: []string{"internal/proto/memcache/..."}, tests: true,
		why: "the two protocols never know each other; what both need belongs into msg or proxy",
	},
	{
		from: []string{"internal/proto/memcache"}, to: []string{"internal/proto/redis/..."}, tests: true,
		why: "the two protocols never know each other; what both need belongs into msg or proxy",
	},
	{
		from: []string{"internal/proxy/..."}, to: []string{"internal/proto/..."},
		why: "proxy declares the Protocol interface and forwards whatever satisfies it; daemon puts the protocols in",
	},
	{
		from: []string{"internal/eventloop/..."},
		to:   []string{"internal/config", "internal/hashkit", "internal/stats", "internal/logging"},
		why:  "the event loop moves bytes and knows no messages, pools or counters; its callers do",
	},
	{
		from: []string{"internal/dashboard/..."}, to: []string{"internal/..."},
		why: "the dashboard is a page: it reads admin's JSON, as any other client could, and nothing else",
	},
	{
		from: dataPath, to: []string{"sync"},
		why: "each event loop is one goroutine that owns all it touches: a lock here would cost every request " +
			"and hide a broken ownership; post to the loop's wake queue, or publish a snapshot with sync/atomic",
	},
	{
		from: []string{"internal/route/..."}, to: []string{"internal/msg", "internal/config", "sync/..."},
		why: "a table is immutable and knows servers as numbers: topology ties it to them, and publishes it",
	},
	{
		from: []string{"internal/proxy/..."}, to: []string{"sync/atomic"},
		why: "proxy is the state machine of one loop, and nothing in it is shared: what loops share is published by topology",
	},
	{
		from: []string{"internal/admin/...", "internal/health/...", "internal/check/...", "internal/ctl/..."}, to: []string{"internal/proxy/..."},
		why: "what is known of pools and servers outside the loops is topology's; only the daemon has loops",
	},
	{
		from: pure, to: []string{"net/...", "os/...", "io/fs", "syscall", "golang.org/x/sys/..."},
		why: "this package does no I/O: it takes bytes and gives bytes, which is what lets it be fuzzed and split anywhere",
	},
	{
		from: []string{"internal/proxy/...", "internal/topology/...", "internal/eventloop/..."}, to: []string{"net/...", "os/exec"},
		why: "package net brings a poller, goroutines and deadlines of its own; descriptors come from socket and live in eventloop",
	},
	{
		from: []string{"internal/..."}, to: []string{"golang.org/x/sys/..."},
		// proxy and topology hold the addresses that socket resolved, and call nothing.
		except: append([]string{"internal/eventloop/...", "internal/socket/...", "internal/pages", "internal/proxy", "internal/topology", "internal/daemon"}, outside...),
		why:    "raw system calls live in eventloop, socket and pages, so that everything above them is free of the platform",
	},
	{
		from: everywhere, to: []string{"unsafe", "C"},
		// bench has the floor that eventloop is held against, which makes the same
		// calls and may import nothing of nuthatch's. testkit forbids system calls to a process.
		except: []string{"internal/eventloop", "internal/socket", "internal/mbuf", "internal/pages", "internal/testkit", "bench"},
		why:    "memory is only taken by the neck where the kernel asks for it: eventloop, socket, mbuf",
	},
	{
		from: everywhere, to: []string{"log", "github.com/sirupsen/logrus", "go.uber.org/zap"},
		why: "there is one log, internal/logging, with nutcracker's levels and reopening; package log writes past it",
	},
	{
		from: everywhere, to: []string{"go.yaml.in/...", "gopkg.in/yaml.v3"}, except: []string{"internal/config"},
		why: "only config reads YAML; everybody else gets an immutable, validated Config",
	},
	{
		from: everywhere, to: []string{"internal/testkit/...", "testing/..."}, except: outside,
		why: "test code must not reach the binary: only tests import it",
	},
	{
		from: everywhere, to: []string{"github.com/alicebob/miniredis/..."},
		except: append([]string{"internal/demo"}, outside...),
		why:    "miniredis is the demo's server and the tests'; the proxy itself never has one inside",
	},
	{
		from:   everywhere,
		to:     []string{"github.com/redis/...", "github.com/bradfitz/...", "github.com/google/go-cmp/...", "github.com/chromedp/..."},
		except: append([]string{"internal/redisclient", "internal/sentinel", "internal/cluster", "internal/replication"}, outside...),
		why:    "client libraries, browsers and comparers are for tests and measurements; the proxy speaks both protocols itself, but to sentinels, when it asks a cluster for its nodes, and when it asks replicas how they are",
	},
}

// matches tells whether one of the patterns covers a package.
func matches(patterns []string, pkg string) bool {
	for _, p := range patterns {
		prefix, below := strings.CutSuffix(p, "...")
		if pkg == p || below && (prefix == "" || strings.HasPrefix(pkg+"/", prefix)) {
			return true
		}
	}
	return false
}

// againstRules returns why a file in dir must not import a package, or "".
func againstRules(dir, imported string, test bool) string {
	if imported == "net/netip" {
		return "" // addresses as values: it does no I/O
	}
	for _, r := range rules {
		if test && !r.tests {
			continue
		}
		if matches(r.from, dir) && matches(r.to, imported) && !matches(r.except, dir) {
			return r.why
		}
	}
	return ""
}

func TestForbiddenImports(t *testing.T) {
	for _, f := range tree(t) {
		f.imports(func(at, imported string, _ bool) {
			if why := againstRules(f.dir, imported, f.test); why != "" {
				t.Errorf("%s: must not import %s: %s", at, imported, why)
			}
		})
	}
}

// TestRulesCatch proves that the check above can fail, and where it must not.
func TestRulesCatch(t *testing.T) {
	tests := []struct {
		dir, imported string
		test          bool
		want          string
	}{
		{dir: "internal/proto/redis", imported: "internal/proto/memcache", want: "never know each other"},
		{dir: "internal/proto/memcache", imported: "internal/proto/redis", test: true, want: "never know each other"},
		{dir: "internal/proxy", imported: "internal/proto/redis", want: "Protocol interface"},
		{dir: "internal/proxy", imported: "internal/proto/redis", test: true},
		{dir: "internal/eventloop", imported: "internal/stats", want: "no messages"},
		{dir: "internal/dashboard", imported: "internal/stats", want: "admin's JSON"},
		{dir: "internal/proxy", imported: "sync", want: "a lock here"},
		{dir: "internal/proxy", imported: "sync/atomic", want: "nothing in it is shared"},
		{dir: "internal/proxy", imported: "sync/atomic", test: true},
		{dir: "internal/health", imported: "internal/proxy", want: "is topology's"},
		{dir: "internal/daemon", imported: "internal/proxy"},
		{dir: "internal/topology", imported: "sync", want: "a lock here"},
		{dir: "internal/topology", imported: "sync/atomic"},
		{dir: "internal/eventloop", imported: "sync"},
		{dir: "internal/stats", imported: "os", want: "no I/O"},
		{dir: "internal/stats", imported: "net/http", want: "no I/O"},
		{dir: "internal/stats", imported: "io"},
		{dir: "internal/hashkit/golden/record", imported: "os"},
		{dir: "internal/eventloop", imported: "net", want: "a poller"},
		{dir: "internal/eventloop", imported: "net/netip"},
		{dir: "internal/admin", imported: "golang.org/x/sys/unix", want: "raw system calls"},
		{dir: "internal/daemon", imported: "golang.org/x/sys/unix"},
		{dir: "internal/proxy", imported: "unsafe", want: "where the kernel asks"},
		{dir: "cmd/nuthatch", imported: "log", want: "one log"},
		{dir: "internal/admin", imported: "log/slog"},
		{dir: "internal/daemon", imported: "go.yaml.in/yaml/v3", want: "only config"},
		{dir: "internal/demo", imported: "internal/testkit", want: "only tests"},
		{dir: "internal/testkit", imported: "testing"},
		{dir: "internal/daemon", imported: "github.com/alicebob/miniredis/v2", want: "never has one inside"},
		{dir: "internal/demo", imported: "github.com/alicebob/miniredis/v2"},
		{dir: "internal/demo", imported: "github.com/redis/go-redis/v9", want: "for tests"},
	}
	for _, tt := range tests {
		got := againstRules(tt.dir, tt.imported, tt.test)
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s importing %s (test: %t): reason %q, want one with %q",
				tt.dir, tt.imported, tt.test, got, tt.want)
		}
	}
}
