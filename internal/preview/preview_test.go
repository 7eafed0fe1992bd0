package preview

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/hashkit"
)

// parse makes a configuration of one pool, "cache"; settings are lines like
// "hash: md5".
func parse(t *testing.T, servers []string, settings ...string) *config.Config {
	t.Helper()
	text := "cache:\n  listen: 127.0.0.1:22121\n"
	for _, s := range settings {
		text += "  " + s + "\n"
	}
	text += "  servers:\n"
	for _, s := range servers {
		text += "   - " + s + "\n"
	}
	cfg, err := config.Parse("test.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

var (
	three = []string{"10.0.0.1:6379:1 a", "10.0.0.2:6379:1 b", "10.0.0.3:6379:1 c"}
	four  = append(three[:3:3], "10.0.0.4:6379:1 d")
	bare  = []string{"10.0.0.1:6379:1", "10.0.0.2:6379:1", "10.0.0.3:6379:1"}
)

// TestSharesAreWhatKeysDo looks many keys up in both configurations and
// compares what share moves from where to where, within six standard deviations.
func TestSharesAreWhatKeysDo(t *testing.T) {
	tests := []struct {
		name         string
		old, changed *config.Config
	}{
		{"a server more", parse(t, three), parse(t, four)},
		{"a server less", parse(t, four), parse(t, three)},
		{"modula, a server more", parse(t, three, "distribution: modula"), parse(t, four, "distribution: modula")},
		{"another distribution", parse(t, three), parse(t, three, "distribution: modula")},
		{"another hash", parse(t, three, "hash: murmur"), parse(t, four, "hash: md5")},
		{"crowded by crc32", parse(t, three, "hash: crc32"), parse(t, four, "hash: crc32")},
		{"one server, another hash", parse(t, three[:1], "hash: murmur"), parse(t, three[:1], "hash: md5")},
		{"names given", parse(t, bare), parse(t, three)},
		{"another address", parse(t, three), parse(t, []string{"10.0.0.9:6379:1 a", three[1], three[2]})},
		{"one to three", parse(t, three[:1]), parse(t, three)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			old, changed := &tt.old.Pools[0], &tt.changed.Pools[0]
			got := compareKeys(old, changed)
			if len(got) != 1 {
				t.Fatalf("%d classes of keys, want 1", len(got))
			}
			compareWithKeys(t, got[0], old, changed, "user:%d:%x")
		})
	}
}

// TestTagShares: with another hash tag, keys that have none stay where they are.
func TestTagShares(t *testing.T) {
	old, changed := parse(t, three), parse(t, three, `hash_tag: "{}"`)
	got := compareKeys(&old.Pools[0], &changed.Pools[0])
	if len(got) != 2 || got[0].Moved != 0 || got[1].Moved == 0 {
		t.Fatalf("classes of keys: %+v", got)
	}
	compareWithKeys(t, got[0], &old.Pools[0], &changed.Pools[0], "user:%d:%x")
	compareWithKeys(t, got[1], &old.Pools[0], &changed.Pools[0], "user:{%d}:%x")
}

func compareWithKeys(t *testing.T, k Keys, old, changed *config.Pool, form string) {
	t.Helper()
	const keys = 100_000
	before, after := ringOf(old), ringOf(changed)
	seen := make(map[[2]string]int)
	rnd := rand.New(rand.NewPCG(3, 4))
	for range keys {
		key := fmt.Appendf(nil, form, rnd.Uint32(), rnd.Uint64())
		from := &old.Servers[before.Server(key, 0)]
		to := &changed.Servers[after.Server(key, 0)]
		if from.NodeName() != to.NodeName() && from.Address != to.Address {
			seen[[2]string{from.NodeName(), to.NodeName()}]++
		}
	}
	sum := 0.0
	for _, m := range k.Moves {
		n := seen[[2]string{m.From, m.To}]
		delete(seen, [2]string{m.From, m.To})
		want := m.Share * keys
		if math.Abs(float64(n)-want) > 6*math.Sqrt(want*(1-m.Share))+1 {
			t.Errorf("from %s to %s: %d of %d keys, want about %.0f", m.From, m.To, n, keys, want)
		}
		sum += m.Share
	}
	if len(seen) > 0 {
		t.Errorf("keys move that the preview says nothing of: %v", seen)
	}
	if math.Abs(sum-k.Moved) > 1e-9 {
		t.Errorf("moves sum up to %f, not to %f", sum, k.Moved)
	}
}

func ringOf(p *config.Pool) hashkit.Ring {
	r := hashkit.Ring{Hash: p.Hash, Continuum: continuum(p)}
	copy(r.Tag[:], p.HashTag)
	return r
}

func TestWarnings(t *testing.T) {
	weighted := func(w int) []string {
		return []string{fmt.Sprintf("10.0.0.1:6379:%d a", w), three[1], three[2]}
	}
	tests := []struct {
		name         string
		old, changed *config.Config
		want         []string // a part of each warning's What and Instead
	}{
		{"a server more", parse(t, three), parse(t, four), nil},
		{"a named server moves", parse(t, three), parse(t, []string{"10.9.9.9:6379:1 a", three[1], three[2]}), nil},
		{"another random", parse(t, three, "distribution: random"), parse(t, four, "distribution: random"), nil},
		{
			"all weights doubled", parse(t, three),
			parse(t, []string{"10.0.0.1:6379:2 a", "10.0.0.2:6379:2 b", "10.0.0.3:6379:2 c"}), nil,
		},
		{"a weight", parse(t, three), parse(t, weighted(3)), []string{"a from 1 to 3", "keep the weights"}},
		{
			"an unnamed server moves", parse(t, bare), parse(t, []string{"10.9.9.9:6379:1", bare[1], bare[2]}),
			[]string{"10.9.9.9:6379 takes the place of 10.0.0.1:6379", "10.9.9.9:6379:1 10.0.0.1:6379"},
		},
		{
			"a server is renamed", parse(t, three), parse(t, []string{"10.0.0.1:6379:1 z", three[1], three[2]}),
			[]string{"renamed from a to z", "10.0.0.1:6379:1 a"},
		},
		{"another hash", parse(t, three, "hash: murmur"), parse(t, three, "hash: md5"), []string{"from murmur to md5", "hash: murmur"}},
		{
			"another distribution", parse(t, three), parse(t, three, "distribution: modula"),
			[]string{"from ketama to modula", "distribution: ketama"},
		},
		{
			"modula grows", parse(t, three, "distribution: modula"), parse(t, four, "distribution: modula"),
			[]string{"keys of all servers", "use ketama"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Compare(tt.old, tt.changed)
			if r.Warned() != (tt.want != nil) {
				t.Fatalf("warnings %+v, want some: %t", r.Pools, tt.want != nil)
			}
			if tt.want == nil {
				return
			}
			w := r.Pools[0].Warnings
			if len(w) != 1 || !strings.Contains(w[0].What, tt.want[0]) || !strings.Contains(w[0].Instead, tt.want[1]) {
				t.Errorf("warnings %+v, want one with %q", w, tt.want)
			}
		})
	}
}

// TestManyRenamed: many renamings are one warning, which tells what they cost
// together and does not grow with them.
func TestManyRenamed(t *testing.T) {
	var before, after []string
	for i := range 60 {
		addr := fmt.Sprintf("10.0.0.%d:6379:1", i+1)
		before, after = append(before, addr), append(after, fmt.Sprintf("%s s%d", addr, i))
	}
	moves := parse(t, after)
	for i := range moves.Pools[0].Servers {
		s := &moves.Pools[0].Servers[i]
		s.Address.Port, s.Text = 6380, strings.Replace(s.Text, "6379", "6380", 1)
	}
	tests := []struct {
		name         string
		changed      *config.Config
		what, advice string
	}{
		{"names given", parse(t, after), "renamed from 10.0.0.1:6379 to s0; ", "keep the names: 10.0.0.1:6379:1 10.0.0.1:6379, "},
		{"names and addresses", moves, "s0 takes the place of 10.0.0.1:6379; ", "10.0.0.1:6380:1 10.0.0.1:6379, "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			warnings := Compare(parse(t, before), tt.changed).Pools[0].Warnings
			if len(warnings) != 1 {
				t.Fatalf("%d warnings", len(warnings))
			}
			w := warnings[0]
			if !strings.Contains(w.What, tt.what) || !strings.Contains(w.What, "; and 50 more") || !strings.HasSuffix(w.What, " without that change, 0% would") {
				t.Errorf("what: %s", w.What)
			}
			if !strings.Contains(w.Instead, tt.advice) || !strings.HasSuffix(w.Instead, ", and 50 more") {
				t.Errorf("instead: %s", w.Instead)
			}
		})
	}
}

// TestKeptNameMovesNothing: what a warning advises has the effect that it
// promises.
func TestKeptNameMovesNothing(t *testing.T) {
	old := parse(t, bare)
	changed := parse(t, []string{"10.9.9.9:6379:1 10.0.0.1:6379", bare[1], bare[2]})
	r := Compare(old, changed)
	if r.Warned() || r.Pools[0].Keys[0].Moved != 0 {
		t.Errorf("the advised line moves keys:\n%s", r)
	}
}

func TestText(t *testing.T) {
	read := func(name string) *config.Config {
		cfg, err := config.Load("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	want, err := os.ReadFile("testdata/report.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := Compare(read("old.yml"), read("new.yml")).String()
	if got != string(want) {
		t.Errorf("the report is\n%s\nwant\n%s", got, want)
	}
	if strings.Contains(got, "swordfish") || strings.Contains(got, "sesame") {
		t.Error("the report shows a password")
	}
	if got := Compare(read("old.yml"), read("old.yml")).String(); got != "nothing changes\n" {
		t.Errorf("a file compared with itself: %q", got)
	}
}

func TestPercent(t *testing.T) {
	for share, want := range map[float64]string{
		0: "0%", 1e-9: "<0.01%", 0.25: "25.00%", 0.99999: ">99.99%", 1: "100.00%",
	} {
		if got := Percent(share); got != want {
			t.Errorf("Percent(%v) = %q, want %q", share, got, want)
		}
	}
}
