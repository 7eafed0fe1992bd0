package integration

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// elements are the bulks of an array reply, at whatever depth, in order.
func elements(reply string) []string {
	var all []string
	for reply != "" {
		line, rest, _ := strings.Cut(reply, "\r\n")
		reply = rest
		if line[0] == '$' && line != "$-1" {
			n, err := strconv.Atoi(line[1:])
			if err != nil {
				panic("a length that is no number: " + line)
			}
			all = append(all, reply[:n])
			reply = reply[n+2:]
		}
	}
	return all
}

// scan goes through all of a SCAN and returns the keys, sorted.
func scan(c *testkit.Client, options ...string) []string {
	var keys []string
	cursor := "0"
	for {
		words := elements(c.Do(append([]string{"SCAN", cursor}, options...)...))
		if len(words) == 0 {
			return []string{"no cursor"}
		}
		cursor = words[0]
		keys = append(keys, words[1:]...)
		if cursor == "0" {
			slices.Sort(keys)
			return keys
		}
	}
}

// TestScanAllServers: a full iteration brings what the iterations of the servers
// bring, together.
func TestScanAllServers(t *testing.T) {
	st := redisStage(t)
	c := st.proxy.Dial(testkit.Redis)
	for i, key := range spread(3000) {
		switch i % 3 {
		case 0:
			c.Send(testkit.RESP("RPUSH", key, "x"))
		default:
			c.Send(testkit.RESP("SET", key, "x"))
		}
	}
	for range 3000 {
		c.Reply()
	}
	for _, options := range []string{"COUNT 1", "COUNT 10", "COUNT 1000", "TYPE list COUNT 50", "MATCH 0* COUNT 100", "MATCH *a* TYPE string"} {
		t.Run(options, func(t *testing.T) {
			var want []string
			for _, s := range st.servers {
				want = append(want, scan(s.Dial(), strings.Fields(options)...)...)
			}
			slices.Sort(want)
			got := scan(c, strings.Fields(options)...)
			// A table that is being resized may give a key twice.
			got, want = slices.Compact(got), slices.Compact(want)
			if len(want) < 100 || !slices.Equal(got, want) {
				t.Errorf("%d keys, want the servers' %d", len(got), len(want))
			}
		})
	}
	for _, cursor := range []string{"", "x", "-1", "+1", "1.0", "18446744073709551616", strings.Repeat("9", 100)} {
		if got := c.Do("SCAN", cursor); got != "-ERR invalid cursor\r\n" {
			t.Errorf("the cursor %q: %q", cursor, got)
		}
	}
	if got := c.Do("SCAN", "1", "COUNT", "0"); got != "-ERR syntax error\r\n" {
		t.Errorf("COUNT 0: %q", got)
	}
	if got := c.Do("SCAN", "18446744073709551615"); !strings.HasPrefix(got, "*2\r\n$") {
		t.Errorf("a cursor that was never given: %q", got)
	}
	st.servers[1].Kill()
	if got := c.Do("SCAN", "1"); got[0] != '-' {
		t.Errorf("the cursor of a server that is gone: %q", got)
	}
	if got := c.Do("SCAN", "2"); got[0] != '*' {
		t.Errorf("the cursor of a server that is there: %q", got)
	}
}

// TestAllServers: requests for every server, against what the servers say.
func TestAllServers(t *testing.T) {
	st := redisStage(t, "allow_flush: true")
	c := st.proxy.Dial(testkit.Redis)
	if got := c.Do("RANDOMKEY"); got != "$-1\r\n" {
		t.Errorf("RANDOMKEY of nothing: %q", got)
	}
	keys := spread(300)
	for _, key := range keys {
		c.Send(testkit.RESP("SET", key, "x"))
	}
	for range keys {
		c.Expect("+OK\r\n")
	}
	slices.Sort(keys)
	if got := c.Do("DBSIZE"); got != ":300\r\n" {
		t.Errorf("DBSIZE: %q", got)
	}
	found := elements(c.Do("KEYS", "*"))
	slices.Sort(found)
	if !slices.Equal(found, keys) {
		t.Errorf("KEYS found %d keys", len(found))
	}
	if got := c.Do("KEYS", strings.Repeat("x", 1<<17)); got != "*0\r\n" {
		t.Errorf("KEYS of a huge pattern: %q", got)
	}
	if got := elements(c.Do("RANDOMKEY")); len(got) != 1 || !slices.Contains(keys, got[0]) {
		t.Errorf("RANDOMKEY: %q", got)
	}
	for request, want := range map[string]string{
		"WAIT 0 0":           ":0\r\n",
		"WAIT 0 10":          ":0\r\n",
		"WAIT x 10":          "-ERR value is not an integer or out of range\r\n",
		"WAIT 1 x":           "-ERR timeout is not an integer or out of range\r\n",
		"WAIT 1 -1":          "-ERR timeout is negative\r\n",
		"SCRIPT KILL":        "-NOTBUSY No scripts in execution right now.\r\n",
		"PUBSUB NUMSUB a b":  "*4\r\n$1\r\na\r\n:0\r\n$1\r\nb\r\n:0\r\n",
		"PUBSUB NUMPAT":      ":0\r\n",
		"PUBSUB CHANNELS":    "*0\r\n",
		"FUNCTION LIST":      "*0\r\n",
		"FUNCTION DELETE no": "-ERR Library not found\r\n",
	} {
		if got := c.Do(strings.Fields(request)...); got != want {
			t.Errorf("%s: %q, want %q", request, got, want)
		}
	}
	subscribers := 0
	for i, s := range st.servers {
		for range i {
			s.Dial().Do("SUBSCRIBE", "news")
			subscribers++
		}
	}
	if got, want := c.Do("PUBLISH", "news", "x"), fmt.Sprintf(":%d\r\n", subscribers); got != want {
		t.Errorf("PUBLISH: %q, want %q", got, want)
	}
	if got, want := c.Do("PUBSUB", "NUMSUB", "news"), fmt.Sprintf("*2\r\n$4\r\nnews\r\n:%d\r\n", subscribers); got != want {
		t.Errorf("PUBSUB NUMSUB: %q, want %q", got, want)
	}
	library := "#!lua name=lib\nredis.register_function('f', function() return 1 end)"
	if got := c.Do("FUNCTION", "LOAD", library); got != "$3\r\nlib\r\n" {
		t.Errorf("FUNCTION LOAD: %q", got)
	}
	for _, key := range keys[:20] {
		if got := c.Do("FCALL", "f", "1", key); got != ":1\r\n" {
			t.Errorf("FCALL at %s: %q", key, got)
		}
	}
	if got := c.Do("FLUSHALL"); got != "+OK\r\n" {
		t.Errorf("FLUSHALL: %q", got)
	}
	if got := c.Do("DBSIZE"); got != ":0\r\n" {
		t.Errorf("DBSIZE after FLUSHALL: %q", got)
	}
}

// TestRefusedForAllServers: what a pool does not allow reaches no server.
func TestRefusedForAllServers(t *testing.T) {
	st := redisStage(t, "allow_keys: false")
	c := st.proxy.Dial(testkit.Redis)
	for request, want := range map[string]string{
		"KEYS *":   "-ERR 'KEYS' is not supported by nuthatch: the pool's allow_keys is off; use SCAN\r\n",
		"FLUSHALL": "-ERR 'FLUSHALL' is not supported by nuthatch: the pool's allow_flush is off\r\n",
		"FLUSHDB":  "-ERR 'FLUSHDB' is not supported by nuthatch: the pool's allow_flush is off\r\n",
	} {
		if got := c.Do(strings.Fields(request)...); got != want {
			t.Errorf("%s: %q, want %q", request, got, want)
		}
	}
	if n := st.proxy.Stats().Value("alpha", "s1", "requests"); n != 0 {
		t.Errorf("%d requests reached a server", n)
	}
}

// TestScriptsComeBack: a script that was loaded can be run on every server,
// those included that were away when it was loaded, or have started anew since.
func TestScriptsComeBack(t *testing.T) {
	for _, threads := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d threads", threads), func(t *testing.T) {
			servers := []*testkit.Server{testkit.StartRedis(t), testkit.StartRedis(t), testkit.StartRedis(t)}
			pool := testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(servers...)}
			proxy := testkit.StartNuthatch(t, pool.String(), testkit.Threads(threads))
			clients := []*testkit.Client{proxy.Dial(testkit.Redis), proxy.Dial(testkit.Redis)}
			keys := spread(60)
			run := func(when, sha, want string) {
				t.Helper()
				for _, c := range clients {
					for _, key := range keys {
						testkit.Await(t, "a server to be back", func() error {
							got := c.Do("EVALSHA", sha, "1", key)
							if got == "-ERR Connection refused\r\n" || got == "-ERR unknown\r\n" {
								return fmt.Errorf("it answers %q", got)
							}
							if got != want {
								t.Fatalf("%s: EVALSHA at %s: %q, want %q", when, key, got, want)
							}
							return nil
						})
					}
				}
			}
			load := func(text string) string {
				t.Helper()
				got := elements(clients[0].Do("SCRIPT", "LOAD", text))
				if len(got) != 1 {
					t.Fatalf("SCRIPT LOAD %q did not give one name: %q", text, got)
				}
				return got[0]
			}
			one := load("return 1")
			run("at first", one, ":1\r\n")

			servers[1].Kill()
			two := load("return 2") // which the other servers take
			if got := clients[0].Do("SCRIPT", "LOAD", "return ("); !strings.HasPrefix(got, "-") {
				t.Errorf("a script that is none: %q", got)
			}
			servers[1].Restart()
			run("after a restart", one, ":1\r\n")
			run("after it was loaded without a server", two, ":2\r\n")

			if got := clients[1].Do("SCRIPT", "FLUSH"); got != "+OK\r\n" {
				t.Errorf("SCRIPT FLUSH: %q", got)
			}
			servers[0].Kill()
			servers[0].Restart()
			run("after SCRIPT FLUSH", one, "-NOSCRIPT No matching script. Please use EVAL.\r\n")
		})
	}
}

// TestPartialResults: what the pool's setting makes of a server that is gone.
func TestPartialResults(t *testing.T) {
	const gone = "-ERR Connection refused\r\n"
	for _, setting := range []string{"error", "nulls", "errors"} {
		t.Run(setting, func(t *testing.T) {
			st := redisStage(t, "partial_results: "+setting)
			c := st.proxy.Dial(testkit.Redis)
			keys := spread(50)
			for _, key := range keys {
				c.Do("SET", key, key)
			}
			away := st.servers[2].Dial()
			here := map[string]bool{}
			missing := elements(away.Do("KEYS", "*"))
			for _, key := range keys {
				here[key] = !slices.Contains(missing, key)
			}
			st.servers[2].Kill()
			// A reply that was lost with the connection has another text.
			testkit.Await(t, "the proxy to know", func() error {
				if got := c.Do("GET", missing[0]); got != gone {
					return fmt.Errorf("GET: %q", got)
				}
				return nil
			})
			values := fmt.Sprintf("*%d\r\n", len(keys))
			for _, key := range keys {
				switch {
				case here[key]:
					values += testkit.Bulk(key)
				case setting == "nulls":
					values += "$-1\r\n"
				default:
					values += gone
				}
			}
			rest := fmt.Sprintf(":%d\r\n", len(keys)-len(missing))
			want := map[string]string{"MGET": gone, "EXISTS": gone, "TOUCH": gone, "DEL": gone, "MSET": gone}
			switch setting {
			case "nulls":
				want["MGET"], want["EXISTS"], want["TOUCH"] = values, rest, rest
			case "errors":
				want["MGET"] = values
			}
			for _, name := range []string{"MGET", "EXISTS", "TOUCH", "MSET", "DEL"} {
				if got := c.Do(append([]string{name}, keys...)...); got != want[name] {
					t.Errorf("%s: %.200q, want %.200q", name, got, want[name])
				}
			}
		})
	}
}

// TestClientListAndKill: clients of all event loops are listed and killed by any.
func TestClientListAndKill(t *testing.T) {
	for _, threads := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d threads", threads), func(t *testing.T) {
			server := testkit.StartRedis(t)
			pool := testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(server)}
			proxy := testkit.StartNuthatch(t, pool.String(), testkit.Threads(threads))
			const n = 6
			var clients []*testkit.Client
			for i := range n {
				c := proxy.Dial(testkit.Redis)
				c.Do("CLIENT", "SETNAME", fmt.Sprintf("name%d", i))
				c.Do("CLIENT", "SETINFO", "LIB-NAME", "kit")
				clients = append(clients, c)
			}
			c := clients[0]
			lines := func(options ...string) []string {
				text := elements(c.Do(append([]string{"CLIENT", "LIST"}, options...)...))
				return strings.Split(strings.TrimSuffix(text[0], "\n"), "\n")
			}
			// The check that the proxy was up may not have been seen to go.
			testkit.Await(t, "the clients to be listed", func() error {
				if got := lines(); len(got) != n {
					return fmt.Errorf("%d lines: %q", len(got), got)
				}
				return nil
			})
			ids := make([]string, n)
			for i, line := range lines() {
				facts := map[string]string{}
				for fact := range strings.FieldsSeq(line) {
					name, value, _ := strings.Cut(fact, "=")
					facts[name] = value
				}
				ids[i] = facts["id"]
				if facts["name"] != fmt.Sprintf("name%d", i) || facts["lib-name"] != "kit" ||
					facts["addr"] != clients[i].LocalAddr() || facts["laddr"] != proxy.Addr() || facts["resp"] != "2" {
					t.Errorf("client %d: %s", i, line)
				}
			}
			if got := lines("ID", ids[2], ids[4], "99999"); len(got) != 2 || !strings.HasPrefix(got[1], "id="+ids[4]+" ") {
				t.Errorf("two of them: %q", got)
			}
			if got := lines("TYPE", "pubsub"); got[0] != "" {
				t.Errorf("subscribers: %q", got)
			}
			for request, want := range map[string]string{
				"CLIENT LIST ID x":                      "-ERR Invalid client ID\r\n",
				"CLIENT LIST TYPE x":                    "-ERR Unknown client type 'x'\r\n",
				"CLIENT LIST x":                         "-ERR syntax error\r\n",
				"CLIENT KILL 1.2.3.4:5":                 "-ERR No such client\r\n",
				"CLIENT KILL ID 99999":                  ":0\r\n",
				"CLIENT KILL ID -1":                     "-ERR client-id should be greater than 0\r\n",
				"CLIENT KILL USER nobody":               "-ERR No such user 'nobody'\r\n",
				"CLIENT KILL MAXAGE 10000":              ":0\r\n",
				"CLIENT KILL TYPE master":               ":0\r\n",
				"CLIENT KILL SKIPME":                    "-ERR No such client\r\n",
				"CLIENT KILL ID 1 SKIPME":               "-ERR syntax error\r\n",
				"CLIENT KILL ID " + ids[5]:              ":1\r\n",
				"CLIENT KILL " + clients[4].LocalAddr(): "+OK\r\n",
			} {
				if got := c.Do(strings.Fields(request)...); got != want {
					t.Errorf("%s: %q, want %q", request, got, want)
				}
			}
			for _, gone := range clients[4:] {
				gone.ExpectEnd()
			}
			if got := c.Do("CLIENT", "KILL", "TYPE", "normal"); got != ":3\r\n" {
				t.Errorf("KILL of all others: %q", got)
			}
			killSelf(c, ids[0])
		})
	}
}

// killSelf has a client kill itself: the answer comes in its turn, and before the
// end.
func killSelf(c *testkit.Client, id string) {
	c.Send(slices.Concat(testkit.RESP("SET", "k", "v"), testkit.RESP("CLIENT", "INFO"),
		testkit.RESP("CLIENT", "KILL", "ID", id, "SKIPME", "no"), testkit.RESP("PING")))
	c.Expect("+OK\r\n")
	c.Reply()
	c.Expect(":1\r\n")
	c.ExpectEnd()
}
