package integration

import (
	"regexp"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// hellos are ways to say HELLO and AUTH, whole and at fault; words end at a comma.
var hellos = []string{
	"HELLO", "HELLO,2", "HELLO,3", "HELLO,4", "HELLO,-1", "HELLO,", "HELLO,x", "HELLO,3 ", "HELLO,99999999999999999999", "HELLO,AUTH,alice,a",
	"HELLO,3,AUTH", "HELLO,3,AUTH,alice", "HELLO,3,AUTH,alice,a", "HELLO,2,AUTH,alice,a,extra", "HELLO,9,AUTH,alice,a", "HELLO,x,AUTH,alice,a",
	"HELLO,2,AUTH,alice,x,AUTH,bob,b", "HELLO,2,AUTH,alice,a,AUTH,bob,b", "HELLO,2,AUTH,alice,a,AUTH,bob,x", "HELLO,2,AUTH,alice,a,AUTH,bob", "HELLO,2,AUTH,nobody,x,AUTH,alice,a",
	"HELLO,2,AUTH,alice,a,FOO", "HELLO,2,AUTH,alice,x,FOO", "HELLO,2,FOO", "HELLO,2,FOO\r\nBAR", "HELLO,2,a'b", "HELLO,3,AUTH,alice,a,AUTH,bob,x",
	"HELLO,2,SETNAME", "HELLO,2,SETNAME,n", "HELLO,2,SETNAME,n,SETNAME,m", "HELLO,2,SETNAME,n,SETNAME,m o", "HELLO,2,SETNAME,n o,AUTH,alice,a", "HELLO,2,SETNAME,n,FOO",
	"HELLO,2,SETNAME,n,AUTH,alice", "HELLO,2,SETNAME,n,AUTH,alice,a", "HELLO,2,AUTH,alice,a,SETNAME,n o", "HELLO,2,AUTH,alice,x,SETNAME,n o", "HELLO,2,AUTH,alice,a,SETNAME,n,SETNAME,",
	"hello,2,auth,alice,a,setname,q,auth,bob,b", "HELLO,3,AUTH,alice,a,SETNAME,q,AUTH,bob,b",
	"AUTH", "AUTH,a,b,c", "AUTH,a,b,c,d", "AUTH,pw", "AUTH,x", "AUTH,", "AUTH,,", "AUTH,default,pw", "AUTH,default,x", "AUTH,alice,", "AUTH,alice,a", "AUTH,ALICE,a", "auth,bob,b",
}

// clientID is the client's number in the answer to HELLO.
var clientID = regexp.MustCompile(`id\r\n:\d+`)

// TestHelloLikeRedis: HELLO and AUTH answer as redis-server does. Their client is then the user,
// and has the name, that it has there; if they are refused, it is who it was.
func TestHelloLikeRedis(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"user default on nopass ~* &* +@all", "user default on >pw ~* &* +@all"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			path := writeUsers(t, who+"\nuser alice on >a ~* &* +@all\nuser bob on >b ~* &* +@all\n")
			alone := testkit.StartRedis(t, "--aclfile", path)
			s := newStage(t, testkit.Redis, []*testkit.Server{testkit.StartRedis(t)}, []string{"acl_file: " + path})
			for _, text := range hellos {
				server, proxy := alone.Dial(), s.proxy.Dial(testkit.Redis)
				ask := func(call string) (refused bool) {
					words := strings.Split(call, ",")
					want, got := clientID.ReplaceAllString(server.Do(words...), "id"), clientID.ReplaceAllString(proxy.Do(words...), "id")
					want = strings.Replace(want, "the HELLO AUTH <user>", "the HELLO <proto> AUTH <user>", 1) // as newer releases say
					if got != want {
						t.Errorf("%s: %s:\n\tnuthatch %q\n\tredis    %q", text, call, got, want)
					}
					return strings.HasPrefix(want, "-")
				}
				if ask(text) {
					server = alone.Dial() // who it was before
				}
				for _, call := range []string{"ACL,WHOAMI", "CLIENT,GETNAME", "PING", "HGETALL,none", "AUTH,alice,a", "ACL,WHOAMI", "CLIENT,GETNAME"} {
					ask(call)
				}
			}
		})
	}
}
