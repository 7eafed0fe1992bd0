package acl

import (
	"fmt"
	"strings"
	"testing"
)

// What is allowed at once is what a trial allows, for all lengths of names and keys, whatever
// stands behind the key. Only selectors and databases need a trial.
func TestAllowsAtOnce(t *testing.T) {
	long := strings.Repeat("k", 20)
	var keys []string
	for n := range 20 {
		keys = append(keys, long[:n], long[:n]+"x", long[:n]+"\x00", "x"+long[:n])
	}
	for _, rules := range []string{
		"+@all ~*", "+@all allkeys", "+@read ~*", "+get ~k", "+@read +@write %R~kkk* ~kkkk", "+@all -get ~*", "+get ~k[a-z]*", "+@all ~k* db=1", "-@all (+get ~k*)",
		"+@all %W~k*", "+@all %R~k*", "+@all", "+@all ~k* resetkeys ~x*", "+@all ~", "+get ~\\k*",
	} {
		checkAtOnce(t, one(t, "on "+rules), keys, !strings.ContainsAny(rules, "(="))
	}
	for n := range 20 {
		for _, end := range []string{"", "*"} {
			checkAtOnce(t, one(t, "on +@all ~"+long[:n]+end), keys, true)
		}
	}
}

// checkAtOnce compares what the user may do at once, and in a trial. whole: at once is all.
func checkAtOnce(t *testing.T, u *User, keys []string, whole bool) {
	t.Helper()
	for _, name := range []string{"get", "set", "exists", "mget", "flushall", "delex"} {
		c := number(t, name)
		for _, key := range keys {
			for _, behind := range []string{"", "\r\n", "kkkkkkkkkk"} {
				b := []byte(key + behind)[:len(key)]
				trial := u.Begin(c, b, 0)
				trial.Key(b, table.commands[c].Access, 1)
				got, want := u.AllowsAtOnce(c, b), trial.Verdict().IsAllowed()
				if got && !want || whole && key != "" && table.commands[c].OneKey && want && !got {
					t.Errorf("%s: %s %q: at once %t, in a trial %t", u.Line(), name, key, got, want)
				}
			}
		}
	}
	if u.AllowsAtOnce(len(table.commands), []byte("k")) {
		t.Error("a command that there is not is allowed")
	}
}

// BenchmarkAllowsAtOnce is what the rules of a user cost a request.
func BenchmarkAllowsAtOnce(b *testing.B) {
	for _, patterns := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("patterns=%d", patterns), func(b *testing.B) {
			var rules strings.Builder
			for i := range patterns {
				fmt.Fprintf(&rules, " ~app%d:*", patterns-1-i)
			}
			u, get, key := one(b, "on +@read"+rules.String()), number(b, "get"), []byte("app0:some:key:01\r\n")[:16]
			for b.Loop() {
				if !u.AllowsAtOnce(get, key) {
					b.Fatal("not allowed")
				}
			}
		})
	}
}
