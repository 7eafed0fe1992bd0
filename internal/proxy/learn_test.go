package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/proxy"
	"nuthatch/internal/testkit"
)

// A module is a server with one command more, JSON.GET, that answers it with its
// own name and the key. It counts how often it is asked what that is.
func module(name string, asked chan<- string) func(*testkit.Talk) {
	return func(k *testkit.Talk) {
		for {
			args, ok := k.Command()
			if !ok {
				return
			}
			switch {
			case args[0] == "COMMAND":
				asked <- args[2]
				switch args[2] {
				case "json.get":
					k.Reply("*1\r\n*6\r\n$8\r\njson.get\r\n:-2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n")
				case "json.secret":
					k.Reply("-NOPERM not you\r\n")
				default:
					k.Reply("*1\r\n*-1\r\n")
				}
			case len(args) > 1:
				k.Reply(fmt.Sprintf("+%s %s\r\n", name, args[1]))
			default:
				k.Reply("+" + name + "\r\n")
			}
		}
	}
}

// startModules is a pool of two such servers.
func startModules(t *testing.T) (r *rig, asked chan string) {
	asked = make(chan string, 1000)
	one := testkit.StartScripted(t, module("one", asked))
	two := testkit.StartScripted(t, module("two", asked))
	return startRig(t, twoServers(one.Addr(), two.Addr(), "")), asked
}

// A command of a module goes to the owner of its key, like any other, and the
// first request for it waits in its turn for what the proxy must know; wherever
// its bytes end.
func TestLearnAtEverySplit(t *testing.T) {
	request := command("GET", "a") + command("JSON.GET", "a") + command("GET", "b") + command("json.get", "b", strings.Repeat("x", 50)) + command("NOSUCH", "a") + "PING\r\n"
	for i := 0; i <= len(request); i++ {
		r, asked := startModules(t)
		u := r.dial()
		u.send(request[:i])
		r.on(0, func(*proxy.Context) {})
		u.send(request[i:])
		u.send("QUIT\r\n")
		lines := strings.Split(u.rest(), "\r\n")
		if len(lines) != 8 || lines[0] != lines[1] || lines[2] != lines[3] || lines[0] == "" || lines[2] == "" ||
			lines[4] != "-ERR unknown command 'NOSUCH', with args beginning with: 'a' " || lines[5] != "+PONG" {
			t.Fatalf("split at %d: %q", i, lines)
		}
		r.awaitIdle()
		if n := len(asked); n != 2 {
			t.Fatalf("split at %d: %d questions for a command and one that is none", i, n)
		}
	}
}

// A request too large for one read is put back as a whole.
func TestLearnLargeRequest(t *testing.T) {
	r, _ := startModules(t)
	u := r.dial()
	body := strings.Repeat("v", 3<<20)
	u.send(command("json.get", "a", body) + command("json.get", "b"))
	var got []string
	for range 2 {
		line, err := u.in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, line[strings.IndexByte(line, ' ')+1:])
	}
	if got[0] != "a\r\n" || got[1] != "b\r\n" {
		t.Errorf("got %q", got)
	}
	r.awaitIdle()
}

// Clients with the same question share it.
func TestLearnTogether(t *testing.T) {
	ask, answer := make(chan struct{}, 10), make(chan struct{})
	s := testkit.StartScripted(t, func(k *testkit.Talk) {
		for {
			args, ok := k.Command()
			if !ok {
				return
			}
			if args[0] == "COMMAND" {
				ask <- struct{}{}
				<-answer
				k.Reply("*1\r\n*6\r\n$3\r\nfoo\r\n:-2\r\n*0\r\n:1\r\n:1\r\n:1\r\n")
				continue
			}
			k.Reply("+" + args[1] + "\r\n")
		}
	})
	r := startRig(t, oneServer(s.Addr(), ""))
	users := []*user{r.dial(), r.dial(), r.dial()}
	gone := r.dial()
	gone.send(command("foo", "gone"))
	<-ask
	for i, u := range users {
		u.send(command("foo", fmt.Sprint(i)) + command("GET", "x"))
	}
	gone.Close()
	r.on(0, func(*proxy.Context) {})
	close(answer)
	for i, u := range users {
		u.expect(fmt.Sprintf("+%d\r\n+x\r\n", i))
	}
	r.awaitIdle()
	if n := len(ask); n != 0 {
		t.Errorf("%d more questions were asked", n)
	}
}

// If no server answers, the client is told why, and the next request asks again.
func TestLearnFails(t *testing.T) {
	r, asked := startModules(t)
	u := r.dial()
	u.send(command("json.secret", "a") + command("json.secret", "a") + "PING\r\n")
	const denied = "-ERR the servers do not say what this command is: NOPERM not you\r\n"
	u.expect(denied + denied + "+PONG\r\n")
	if n := len(asked); n != 4 { // both servers, twice
		t.Errorf("%d questions", n)
	}
	dead := testkit.FreeAddr(t)
	r = startRig(t, oneServer(dead, ""))
	u = r.dial()
	u.send(command("foo", "a") + command("foo", "b") + command("HELLO", "3") + "PING\r\n")
	refused := "-ERR Connection refused\r\n"
	u.expect(refused + refused + refused + "+PONG\r\n")
	r.awaitIdle()
}

// One server of two is down: the other one is asked.
func TestLearnFromAnother(t *testing.T) {
	asked := make(chan string, 10)
	two := testkit.StartScripted(t, module("two", asked))
	r := startRig(t, twoServers(testkit.FreeAddr(t), two.Addr(), ""))
	u := r.dial()
	for i := range 20 {
		u.send(command("json.get", fmt.Sprint(i)))
		line, err := u.in.ReadString('\n')
		if err != nil || line != fmt.Sprintf("+two %d\r\n", i) && line != "-ERR Connection refused\r\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	if n := len(asked); n != 1 {
		t.Errorf("%d questions", n)
	}
}

func TestHelloOldServer(t *testing.T) {
	s := testkit.StartScripted(t, func(k *testkit.Talk) {
		for {
			args, ok := k.Command()
			if !ok {
				return
			}
			if args[0] == "HELLO" {
				k.Reply("-ERR unknown command 'HELLO'\r\n")
				continue
			}
			k.Reply("+" + args[0] + "\r\n")
		}
	})
	r := startRig(t, oneServer(s.Addr(), ""))
	u := r.dial()
	u.send(command("HELLO", "3") + command("GET", "a") + command("HELLO", "4"))
	u.expect("-ERR unknown command 'HELLO' with protocol version 3: the pool's servers speak RESP2\r\n+GET\r\n-NOPROTO unsupported protocol version\r\n")
	r.awaitIdle()
}

// One of two servers does not speak RESP3: its keys are refused to clients that
// do, and served to the others.
func TestHelloMixedServers(t *testing.T) {
	old := func(k *testkit.Talk) {
		for {
			args, ok := k.Command()
			if !ok {
				return
			}
			if args[0] == "HELLO" {
				k.Reply("-ERR unknown command 'HELLO'\r\n")
				continue
			}
			k.Reply("+old\r\n")
		}
	}
	one, two := testkit.StartScripted(t, cells), testkit.StartScripted(t, old)
	r := startRig(t, twoServers(one.Addr(), two.Addr(), "  auto_eject_hosts: true\n  server_failure_limit: 1\n"))
	plain, u := r.dial(), r.dial()
	key := keyOf(t, plain, "old")
	u.send(command("HELLO", "3"))
	if line, err := u.in.ReadString('\n'); err != nil || line != "%6\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	const what = "-ERR the server of this key does not speak RESP3\r\n"
	u.send("QUIT\r\n")
	u.rest()
	u = r.dial()
	u.send(command("HELLO", "3") + command("GET", key) + command("MSET", "a", "1", "b", "1", "c", "1", "d", "1", "e", "1", "f", "1") + "QUIT\r\n")
	if got := u.rest(); !strings.HasSuffix(got, what+what+"+OK\r\n") {
		t.Errorf("got %q", got)
	}
	plain.send(command("GET", key))
	plain.expect("+old\r\n")
	r.awaitIdle()
}

// Every kind of RESP3's replies passes, wherever the reads end; what nobody asked
// for ends the connection.
func TestRESP3Replies(t *testing.T) {
	replies := []string{
		"_\r\n", "#t\r\n", "#f\r\n", ",1.5\r\n", ",inf\r\n", "(3492890328409238509324850943850943825024385\r\n",
		"!21\r\nSYNTAX invalid syntax\r\n", "=15\r\ntxt:Some string\r\n", "%2\r\n+a\r\n:1\r\n+b\r\n*2\r\n_\r\n#t\r\n", "%0\r\n",
		"~3\r\n:1\r\n$1\r\na\r\n,2\r\n", "|1\r\n+ttl\r\n:3600\r\n$1\r\nv\r\n", "*3\r\n:1\r\n|1\r\n+a\r\n%1\r\n+b\r\n+c\r\n:2\r\n_\r\n", "$-1\r\n", "*-1\r\n",
	}
	for _, unasked := range []string{"", ">2\r\n+invalidate\r\n*1\r\n+a\r\n", "$?\r\n;1\r\na\r\n;0\r\n", "*?\r\n:1\r\n.\r\n"} {
		next := 0
		s := testkit.StartScripted(t, func(k *testkit.Talk) {
			for {
				args, ok := k.Command()
				switch {
				case !ok:
					return
				case args[0] == "HELLO" && len(args) == 1:
					k.Reply("%1\r\n+proto\r\n:2\r\n")
				case args[0] == "HELLO":
					k.Reply("%1\r\n+proto\r\n:3\r\n")
				case next < len(replies):
					k.ReplyPieces(replies[next], 1+next%5, 0)
					next++
				default:
					k.Reply(unasked)
				}
			}
		})
		r := startRig(t, oneServer(s.Addr(), ""))
		u := r.dial()
		u.send(command("HELLO", "3"))
		u.send(strings.Repeat(command("GET", "a"), len(replies)))
		if unasked != "" {
			u.send(command("GET", "a"))
		}
		u.send("QUIT\r\n")
		want := strings.Join(replies, "")
		if unasked != "" {
			want += "-ERR Invalid argument\r\n"
		}
		want += "+OK\r\n"
		if got := u.rest(); !strings.HasSuffix(got, want) {
			t.Errorf("got %q, want %q at its end", got, want)
		}
		r.awaitIdle()
	}
}

// The keys of a learnt command must have one owner, as any other's.
func TestLearntKeysOfTwoServers(t *testing.T) {
	asked := make(chan string, 10)
	two := func(name string) func(*testkit.Talk) {
		inner := module(name, asked)
		return func(k *testkit.Talk) {
			args, ok := k.Command()
			if !ok {
				return
			}
			if args[0] == "COMMAND" {
				k.Reply("*1\r\n*6\r\n$7\r\nx.merge\r\n:-2\r\n*1\r\n+write\r\n:1\r\n:-1\r\n:1\r\n")
			} else {
				k.Reply("+" + name + " " + args[1] + "\r\n")
			}
			inner(k)
		}
	}
	one, other := testkit.StartScripted(t, two("one")), testkit.StartScripted(t, two("two"))
	r := startRig(t, twoServers(one.Addr(), other.Addr(), ""))
	u := r.dial()
	u.send(command("X.Merge", "a", "b", "c", "d", "e", "f") + "PING\r\n")
	line, err := u.in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "-CROSSSLOT ") || !strings.HasSuffix(line, " of 'x.merge'\r\n") {
		t.Fatalf("%q, %v", line, err)
	}
	u.expect("+PONG\r\n")
	r.awaitIdle()
}
