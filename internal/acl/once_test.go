package acl

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// letsOne tells whether the user's rules let a key of a command through without a Trial.
func letsOne(u *User, number int, key []byte) bool {
	g := u.Gate(number)
	if g == nil {
		return false
	}
	if g.IsOpen() {
		return true
	}
	_, ok := g.Lets(key, len(key))
	return ok
}

var long = strings.Repeat("k", 40)

// What a gate lets through is what a trial allows, for all lengths of names and keys, whatever
// stands behind the key. Only selectors and databases need a trial.
func TestGate(t *testing.T) {
	var keys []string
	for n := range 40 {
		keys = append(keys, long[:n], long[:n]+"x", long[:n]+"\x00", "x"+long[:n], long[:n]+"x"+long)
	}
	for _, rules := range []string{
		"+@all ~*", "+@all allkeys", "+@read ~*", "+get ~k", "+@read +@write %R~kkk* ~kkkk", "+@all -get ~*", "+get ~k[a-z]*", "+@all ~k* db=1", "-@all (+get ~k*)",
		"+@all %W~k*", "+@all %R~k*", "+@all", "+@all ~k* resetkeys ~x*", "+@all ~", "+get ~\\k*", "+@all %R~*", "+@all ~x* %R~k?* ~kkkkkkkkkkkk*",
	} {
		checkGate(t, one(t, "on "+rules), keys, !strings.ContainsAny(rules, "(="))
	}
	for n := range 40 {
		for _, end := range []string{"", "*"} {
			checkGate(t, one(t, "on +@all ~"+long[:n]+end), keys, true)
		}
	}
}

// takesAtOnce tells whether the first n bytes of b are a key that the head takes.
func takesAtOnce(h *Head, b []byte, n int) bool {
	return h.Begins((*[HeadSize]byte)(b), n) && (h.IsShort() || h.GoesOn(b))
}

// shortHeads tells whether the gate's leads are all that it has.
func shortHeads(g *Gate) bool {
	return g.IsOpen() || len(g.globs) == 0 && len(g.heads) <= maxLeads && !slices.ContainsFunc(g.heads, func(h Head) bool { return !h.IsShort() })
}

// checkGate compares what the user may do at once, and in a trial. whole: at once is all.
func checkGate(t *testing.T, u *User, keys []string, whole bool) {
	t.Helper()
	for _, name := range []string{"get", "set", "exists", "mget", "flushall", "delex"} {
		c := number(t, name)
		for _, key := range keys {
			trial := u.Begin(c, []byte(key), 0)
			trial.Key([]byte(key), table.commands[c].Access, 1)
			want := trial.Verdict().IsAllowed()
			got := letsOne(u, c, []byte(key))
			if got && !want || whole && key != "" && table.commands[c].Uniform && want && !got {
				t.Errorf("%s: %s %q: at once %t, in a trial %t", u.Line(), name, key, got, want)
			}
			g := u.Gate(c)
			if g == nil {
				continue
			}
			for _, behind := range []string{"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n", long, strings.Repeat("\x00", HeadSize)} {
				b := []byte(key + behind)
				takes := g.LeadsTake((*[HeadSize]byte)(b), len(key))
				if want := got || g.IsOpen(); takes && !want || want && !takes && shortHeads(g) {
					t.Errorf("%s: %s %q before %q: leads %t, the gate %t", u.Line(), name, key, behind, takes, want)
				}
				for i := range g.heads {
					h := &g.heads[i]
					p := newPattern(h.prefix)
					if h.longer > 0 {
						p = newPattern(h.prefix + "*")
					}
					if takes := takesAtOnce(h, b, len(key)); takes != (key != "" && p.matches([]byte(key))) {
						t.Errorf("%s: %s %q before %q: %t", u.Line(), name, key, behind, takes)
					}
				}
				if _, lets := g.Lets(b, len(key)); lets != got && !g.IsOpen() {
					t.Errorf("%s: %s %q before %q: %t, alone %t", u.Line(), name, key, behind, lets, got)
				}
			}
		}
	}
	if u.Gate(len(table.commands)) != nil {
		t.Error("a command that there is not is allowed")
	}
}

// The first head takes nothing if there is none.
func TestFirstHead(t *testing.T) {
	for _, rules := range []string{"on +@all ~k[a-z]*", "on +@all"} {
		g := one(t, rules).Gate(number(t, "get"))
		for _, key := range []string{"", "k", "kkkkkkkkkkkk"} {
			if takesAtOnce(g.First(), []byte(key+strings.Repeat("k", HeadSize)), len(key)) {
				t.Errorf("%s: %q", rules, key)
			}
		}
	}
}

// BenchmarkGate is what the rules of a user cost a key: one that the first look takes, and one that
// all patterns are tried for.
func BenchmarkGate(b *testing.B) {
	for _, prefix := range []string{"app%d:", "tenants:app%d:"} {
		for _, patterns := range []int{1, 4, 16} {
			var rules strings.Builder
			for i := range patterns {
				fmt.Fprintf(&rules, " ~"+prefix+"*", patterns-1-i)
			}
			g := one(b, "on +@read"+rules.String()).Gate(number(b, "get"))
			key := []byte(fmt.Sprintf(prefix, 0) + "some:key:01\r\n")
			n := len(key) - 2
			h, ok := g.Lets(key, n)
			if !ok {
				b.Fatal("not allowed")
			}
			b.Run(fmt.Sprintf("%s/patterns=%d", prefix, patterns), func(b *testing.B) {
				for b.Loop() {
					if _, ok := g.Lets(key, n); !ok {
						b.Fatal("not allowed")
					}
				}
			})
			b.Run(fmt.Sprintf("%s/patterns=%d/again", prefix, patterns), func(b *testing.B) {
				for b.Loop() {
					if !takesAtOnce(h, key, n) {
						b.Fatal("not allowed")
					}
				}
			})
		}
	}
}
