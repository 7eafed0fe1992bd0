package integration

import (
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// TestUpgradeWithUsers: the new program has the same users as the old one, whoever they are the
// users of. A client of the old program stays who it is for as long as it has something to do
// there.
func TestUpgradeWithUsers(t *testing.T) {
	t.Parallel()
	const rules = "user default off\nuser alice on >a ~a* &* +@all\nuser bob on >b ~* &* +@read\n"
	path := writeUsers(t, rules)
	for name, lines := range map[string][]string{
		"acl_file": {"acl_file: " + path},
		"users": {
			`users: {default: {rules: "off"}, alice: {rules: "on >a ~a* &* +@all"}, bob: {rules: "on >b ~* &* +@read"}}`,
		},
		"passthrough": passLines(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testkit.StartRedis(t)
			if name == "passthrough" {
				server = passServers(t, 1, rules)[0]
			}
			text, ctl := withAdmin(t, testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Servers: testkit.Names(server), Lines: lines}.String())
			p := testkit.StartNuthatch(t, text)
			rights := func() {
				t.Helper()
				alice, bob, nobody := p.Dial(testkit.Redis), p.Dial(testkit.Redis), p.Dial(testkit.Redis)
				says(t, nobody, "GET a", "-NOAUTH*", "AUTH alice b", wrongPass, "GET a", "-NOAUTH*")
				says(t, alice, "AUTH alice a", "+OK", "SET a 1", "+OK", "GET b", "-NOPERM*", "MULTI", "+OK", "SET a 2", "+QUEUED", "EXEC", "*1\r\n+OK", "ACL WHOAMI", "$5\r\nalice")
				says(t, bob, "AUTH bob b", "+OK", "GET a", "$1\r\n2", "SET a 3", "-NOPERM*", "PUBLISH a x", "-NOPERM*")
			}
			rights()
			// Each of them is in the middle of something when the program is replaced.
			collects, waits := p.Dial(testkit.Redis), p.Dial(testkit.Redis)
			says(t, collects, "AUTH alice a", "+OK", "MULTI", "+OK", "SET a:multi 1", "+QUEUED")
			says(t, waits, "AUTH alice a", "+OK")
			waits.Send(testkit.RESP("BLPOP", "a:list", "0"))
			direct := server.Dial()
			direct.Do("AUTH", "alice", "a") // where there is she
			awaitBlocked(t, direct, 1)
			pid := p.Pid()
			ctl.do("upgrade")
			t.Cleanup(func() { endProcess(t, successor(t, p)) })
			if successor(t, p) == pid {
				t.Fatal("the pid file is the old one")
			}
			rights()
			if got := collects.Do("SET", "b", "1"); strings.HasPrefix(got, "+QUEUED") != (name == "passthrough") { // there the server says so at EXEC
				t.Errorf("SET in a transaction: %q", got)
			}
			says(t, collects, "EXEC", "-EXECABORT*")
			waits.Expect("*-1\r\n") // the old program ends waits, so that it can end
			for _, c := range []*testkit.Client{collects, waits} {
				c.ExpectEnd()
			}
			if state := p.Wait(); !state.Success() {
				t.Errorf("the old program ended with %v", state)
			}
			rights()
		})
	}
}
