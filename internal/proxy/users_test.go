package proxy_test

import (
	"strings"
	"testing"
)

// What is allowed by a look at the first bytes of a key is allowed by the rules, which ACL DRYRUN
// tells: keys of all lengths, at the beginning, in the middle and at the end of what comes at once,
// and for requests that do other things with their keys.
func TestUsersAtOnce(t *testing.T) {
	for _, rules := range []string{
		"~app:* +@all", "~app:* +get +set +acl", "~other:* ~app:kkkkkkkkkkkkkkkk* %W~read:* +@all", "%R~app:* %W~x* +@all", "~* +@all -set", "~app:k +@all", "~a ~b ~c ~d ~e ~f ~g ~h ~i ~app:* +@all",
		"~app:[k] ~read:* +@all", "resetkeys +@all", "~app:* -@all +acl +auth",
	} {
		c := converse(t, "  redis: true\n  users:\n    default: {rules: \"off\"}\n    alice: {rules: \"on >a "+rules+"\"}\n    judge: {rules: \"on >j ~* +@all\"}\n", resp{}, 2)
		alice, judge := c.as(1, "alice"), c.as(2, "judge")
		for _, name := range []string{"GET", "SET", "MGET", "MGET app:k", "EXISTS app:k", "GETDEL"} {
			for _, prefix := range []string{"", "app", "app:", "bpp:", "read:", "x", "i"} {
				for _, n := range []int{0, 1, 10, 11, 12, 13, 15, 16, 17} {
					words := append(strings.Fields(name), prefix+strings.Repeat("k", n))
					if name == "SET" {
						words = append(words, "v")
					}
					judge.says(command(append([]string{"ACL", "DRYRUN", "alice"}, words...)...))
					verdict, _ := reads(judge)
					allowed := verdict == "+OK\r\n"
					one := command(words...)
					alice.says(strings.Repeat(one, 3))
					got, _ := reads(alice)
					if allowed { // it waits for replies to keys that no server knows
						alice.end.Close()
						alice = c.as(1, "alice")
					}
					if denied := strings.Count(got, "NOPERM"); denied != 0 && allowed || denied != 3 && !allowed {
						t.Fatalf("%s: %v: %d of 3 denied: %q; DRYRUN: %q", rules, words, denied, got, verdict)
					}
				}
			}
		}
		c.stop()
	}
}
