package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/emulate"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// bulkOf is s as a reply.
func bulkOf(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

// An exchange is a request and its answer.
type exchange struct{ say, want string }

// conversations go to no server.
var conversations = []struct {
	name    string
	options Options
	talk    []exchange
}{
	{
		"nutcracker's answers to AUTH",
		Options{Auth: "pw"},
		[]exchange{
			{"PING", "-NOAUTH Authentication required\r\n"},
			{"GET a", "-NOAUTH Authentication required\r\n"},
			{"NOSUCH a", "-NOAUTH Authentication required\r\n"},
			{"MULTI", "-NOAUTH Authentication required\r\n"},
			{"AUTH no", "-ERR invalid password\r\n"},
			{"AUTH p", "-ERR invalid password\r\n"},
			{"AUTH pwx", "-ERR invalid password\r\n"},
			{"AUTH ''", "-ERR invalid password\r\n"},
			{"auth pw", "+OK\r\n"},
			{"PING", "+PONG\r\n"},
			{"GET a", "+forwarded\r\n"},
			{"AUTH no", "-ERR invalid password\r\n"},
			{"GET a", "-NOAUTH Authentication required\r\n"},
		},
	},
	{
		"no password set",
		Options{},
		[]exchange{
			{"PING", "+PONG\r\n"},
			{"AUTH pw", "-ERR Client sent AUTH, but no password is set\r\n"},
			{"AUTH ''", "-ERR Client sent AUTH, but no password is set\r\n"},
			{"AUTH default pw", "+OK\r\n"},
			{"AUTH nobody pw", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
			{"GET a", "+forwarded\r\n"},
		},
	},
	{
		"users",
		Options{Auth: "pw"},
		[]exchange{
			{"AUTH nobody pw", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
			{"AUTH default no", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
			{"AUTH DEFAULT pw", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
			{"GET a", "-NOAUTH Authentication required\r\n"},
			{"AUTH default pw", "+OK\r\n"},
			{"MGET a b", "+fragmented\r\n"},
			{"AUTH", "-ERR wrong number of arguments for 'auth' command\r\n"},
			{"AUTH a b c", "-ERR syntax error\r\n"},
			{"GET a", "+forwarded\r\n"},
		},
	},
	{
		"HELLO",
		Options{Auth: "pw", Learned: asRedis7()},
		[]exchange{
			{"HELLO 3 AUTH default pw", helloNoRESP3},
			{"GET a", "-NOAUTH Authentication required\r\n"},
			{"HELLO", helloNoAuth},
			{"HELLO 2", helloNoAuth},
			{"HELLO 2 SETNAME me", helloNoAuth},
			{"HELLO 2 AUTH default no", authWrong},
			{"HELLO x", "-ERR Protocol version is not an integer or out of range\r\n"},
			{"HELLO 2 AUTH default pw SETNAME me", hello},
			{"CLIENT GETNAME", "$2\r\nme\r\n"},
			{"HELLO", hello},
			{"HELLO 1", helloNoProto},
			{"HELLO 3", helloNoRESP3},
			{"GET a", "+forwarded\r\n"},
		},
	},
	{
		"CLIENT",
		Options{},
		[]exchange{
			{"CLIENT ID", ":7\r\n"},
			{"CLIENT SETINFO LIB-NAME x", "+OK\r\n"},
			{"CLIENT setinfo lib-ver 1", "+OK\r\n"},
			{"CLIENT NO-EVICT ON", "-ERR 'CLIENT NO-EVICT' is not supported by nuthatch: at max_memory any client may be closed\r\n"},
			{"CLIENT NO-TOUCH ON", "-ERR 'CLIENT NO-TOUCH' is not supported by nuthatch: clients share connections to servers, so the reads of all clients count as use\r\n"},
			{"CLIENT NO-TOUCH off", "+OK\r\n"},
			{"CLIENT NO-EVICT off", "+OK\r\n"},
			{"CLIENT NO-EVICT x", "-ERR syntax error\r\n"},
			{"CLIENT REPLY x", "-ERR syntax error\r\n"},
			{"CLIENT REPLY on", "+OK\r\n"},
			{"CLIENT TRACKING ON", "-ERR 'CLIENT TRACKING' is not supported by nuthatch: the pool's tracking is off\r\n"},
			{"CLIENT TRACKING OFF", "+OK\r\n"},
			{"CLIENT PAUSE 1", "-ERR 'CLIENT PAUSE' is not supported by nuthatch: the pool's allow_admin is off\r\n"},
			{"CLIENT SETNAME " + strings.Repeat("x", maxClientName+1), "-ERR Client names cannot be longer than 1024 bytes.\r\n"},
		},
	},
	{
		"a database",
		Options{DB: 3},
		[]exchange{
			{"SELECT 0", "+OK\r\n"},
			{"SELECT 3", "+OK\r\n"},
			{"SELECT 1", "-ERR DB index is out of range\r\n"},
			{"SELECT -3", "-ERR DB index is out of range\r\n"},
		},
	},
	{
		"the proxy itself",
		Options{Version: "1.2.3", Started: time.Unix(1234567890, 0), Learned: asRedis7()},
		[]exchange{
			{"LASTSAVE", ":1234567890\r\n"},
			{"TIME", "*2\r\n$10\r\n2000000000\r\n$2\r\n17\r\n"},
			{"DEBUG SLEEP 1", "-ERR 'DEBUG' is not supported by nuthatch: it changes or stops a server that other clients share; tell that server itself\r\n"},
			{"DEBUG OBJECT a", "-ERR 'DEBUG OBJECT' is not supported by nuthatch: it is about one server; ask that server itself\r\n"},
			{"LOLWUT", bulkOf("Redis ver. 7.0.15, nuthatch ver. 1.2.3\n")},
			{"LOLWUT VERSION 5", bulkOf("Redis ver. 7.0.15, nuthatch ver. 1.2.3\n")},
			{"INFO replication", bulkOf("# Replication\r\nrole:master\r\nconnected_slaves:0\r\n")},
			{"INFO nosuch", "$0\r\n\r\n"},
			{"INFO SERVER cluster", bulkOf("# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nnuthatch_version:1.2.3\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n")},
			{"CONFIG GET max* databases", settingsOf("databases", "1", "maxmemory", "0", "maxmemory-policy", "noeviction")},
			{"CONFIG GET [", "*0\r\n"},
			{"CONFIG SET a b", "-ERR 'CONFIG SET' is not supported by nuthatch: the pool's allow_admin is off\r\n"},
		},
	},
	{
		"looks like a cluster",
		Options{Version: "1.2.3", Learned: asRedis7(), Emulate: boardOf("10.0.0.1", "10.0.0.2"), Auth: "sesame"},
		[]exchange{
			{"CLUSTER SLOTS", "-NOAUTH Authentication required\r\n"},
			{"CLUSTER MYID x", "-NOAUTH Authentication required\r\n"},
			{"CLUSTER MYID", bulkOf(id1)},
			{"AUTH sesame", "+OK\r\n"},
			{"READONLY", "+OK\r\n"},
			{"READWRITE", "+OK\r\n"},
			{"ASKING", "+OK\r\n"},
			{"ASKING x", "-ERR wrong number of arguments for 'asking' command\r\n"},
			{"CLUSTER MYSHARDID", bulkOf(id1)},
			{"CLUSTER KEYSLOT a{b}c", ":3300\r\n"},
			{"CLUSTER KEYSLOT", "-ERR wrong number of arguments for 'cluster|keyslot' command\r\n"},
			{
				"cluster slots", "*2\r\n*3\r\n:0\r\n:8191\r\n*4\r\n$8\r\n10.0.0.1\r\n:6379\r\n" + bulkOf(id1) + "*0\r\n" +
					"*3\r\n:8192\r\n:16383\r\n*4\r\n$8\r\n10.0.0.2\r\n:6379\r\n" + bulkOf(id2) + "*0\r\n",
			},
			{
				"CLUSTER NODES",
				bulkOf(id1 + " 10.0.0.1:6379@16379 myself,master - 0 0 1 connected 0-8191\n" + id2 + " 10.0.0.2:6379@16379 master - 0 0 2 connected 8192-16383\n"),
			},
			{"CLUSTER COUNTKEYSINSLOT x", "-ERR value is not an integer or out of range\r\n"},
			{"CLUSTER COUNTKEYSINSLOT 16384", "-ERR Invalid slot\r\n"},
			{"CLUSTER COUNTKEYSINSLOT -1", "-ERR Invalid slot\r\n"},
			{"CLUSTER GETKEYSINSLOT 1 x", "-ERR value is not an integer or out of range\r\n"},
			{"CLUSTER GETKEYSINSLOT 1 -1", "-ERR Invalid slot or number of keys\r\n"},
			{"CLUSTER GETKEYSINSLOT 1 1", "-ERR 'CLUSTER GETKEYSINSLOT' is not supported by nuthatch: its servers are not a Redis Cluster, and do not know which keys a slot has\r\n"},
			{"CLUSTER RESET", "-ERR 'CLUSTER RESET' is not supported by nuthatch: it is for the nodes of a Redis Cluster; send it to a node itself\r\n"},
			{"INFO server cluster", bulkOf("# Server\r\nredis_version:7.0.15\r\nredis_mode:cluster\r\nnuthatch_version:1.2.3\r\n\r\n# Cluster\r\ncluster_enabled:1\r\n")},
			{"CONFIG GET cluster-enabled", settingsOf("cluster-enabled", "yes")},
			{"CLUSTER HELP", helpOf("CLUSTER",
				"COUNTKEYSINSLOT", "How many keys a slot has", "GETKEYSINSLOT", "Keys of a slot", "HELP", "The subcommands", "INFO", "How the cluster is",
				"KEYSLOT", "The slot of a key", "MYID", "The node's name", "MYSHARDID", "The shard's name", "NODES", "The nodes", "SHARDS", "The shards",
				"SLOTS", "The slots and their nodes")},
		},
	},
	{
		"a proxy of a cluster that leaves",
		Options{Emulate: leavingBoard("10.0.0.1", "10.0.0.2"), Auth: "sesame"},
		[]exchange{
			{"RESET", "+RESET\r\n"}, // as a client begins
			{"CLUSTER MYID PEER", bulkOf("nuthatch-peer-1 leaves 10.0.0.1:6379 a94a8fe5")},
			{"cluster myid peer", bulkOf("nuthatch-peer-1 leaves 10.0.0.1:6379 a94a8fe5")},
			{"CLUSTER MYID PEERS", "-NOAUTH Authentication required\r\n"},
			{"GET a", "-NOAUTH Authentication required\r\n"},
			{"AUTH sesame", "+OK\r\n"},
			{"CLUSTER MYID PEERS", "-ERR wrong number of arguments for 'cluster|myid' command\r\n"},
			{"CLUSTER SLOTS", "*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$8\r\n10.0.0.2\r\n:6379\r\n" + bulkOf(id2) + "*0\r\n"},
			{"CLUSTER MYID", bulkOf(id1)},
			{"PING", "+PONG\r\n"},
			{"GET a", "-MOVED 15495 10.0.0.2:6379\r\n"},
			{"SET x{a} 1", "-MOVED 15495 10.0.0.2:6379\r\n"},
			{"MGET foo bar", "-MOVED 12182 10.0.0.2:6379\r\n"},
			{"RESET", "+RESET\r\n"},
			{"AUTH sesame", "+OK\r\n"},
			{"GET a", "-MOVED 15495 10.0.0.2:6379\r\n"},
		},
	},
	{
		"a proxy of a cluster that leaves, and has no peers any more",
		Options{Emulate: leavingBoard("10.0.0.1")},
		[]exchange{
			{"RESET", "+RESET\r\n"},
			{"CLUSTER MYID PEER", bulkOf("nuthatch-peer-1 leaves 10.0.0.1:6379 a94a8fe5")},
			{"GET a", "+forwarded\r\n"},
		},
	},
	{
		"looks like a cluster, and its servers are one",
		Options{Emulate: boardOf("10.0.0.1"), Cluster: true, Servers: 3},
		[]exchange{
			{"CLUSTER COUNTKEYSINSLOT 16383", "+forwarded\r\n"},
			{"CLUSTER GETKEYSINSLOT 0 10", "+forwarded\r\n"},
			{"CLUSTER GETKEYSINSLOT 16384 10", "-ERR Invalid slot or number of keys\r\n"},
		},
	},
	{
		"what is not supported",
		Options{},
		[]exchange{
			{"FLUSHALL", "-ERR 'FLUSHALL' is not supported by nuthatch: the pool's allow_flush is off\r\n"},
			{"SHUTDOWN NOW", "-ERR 'SHUTDOWN' is not supported by nuthatch: it changes or stops a server that other clients share; tell that server itself\r\n"},
			{"CLUSTER SLOTS", "-ERR 'CLUSTER SLOTS' is not supported by nuthatch: the pool looks like one server, not like a Redis Cluster; let the client connect without cluster mode, or set emulate for the pool\r\n"},
			{"MIGRATE a", "-ERR 'MIGRATE' is not supported by nuthatch: it makes a server talk to another one\r\n"},
			{"OBJECT HELP a", "-ERR wrong number of arguments for 'object|help' command\r\n"},
			{"Object Nosuch", "-ERR unknown subcommand 'Nosuch'. Try OBJECT HELP.\r\n"},
			{"ACL SETUSER a b", "-ERR 'ACL SETUSER' is not supported by nuthatch: users are in the pool's acl_file or users; change them there, and reload\r\n"},
			{"FUNCTION HELP", helpOf("FUNCTION",
				"DELETE", "Remove a library of functions", "DUMP", "All libraries in Redis's own form", "FLUSH", "Remove all libraries",
				"HELP", "The subcommands", "KILL", "Stop the function that runs", "LIST", "The libraries and their functions",
				"LOAD", "Load a library of functions", "RESTORE", "Load the libraries that DUMP gave",
				"STATS", "The function that runs, and the engines")},
			{"GET a", "+forwarded\r\n"},
		},
	},
}

// The ids of boardOf's nodes.
var id1, id2 = emulate.Address{Host: "10.0.0.1", Port: 6379}.ID(), emulate.Address{Host: "10.0.0.2", Port: 6379}.ID()

// leavingBoard tells that the first of the hosts is about to end, and sends clients to the others.
func leavingBoard(hosts ...string) *emulate.Board {
	o := emulate.Options{Leaving: true, Pool: "test", Self: emulate.Address{Host: hosts[0], Port: 6379}}
	for _, host := range hosts[1:] {
		o.Peers = append(o.Peers, emulate.Address{Host: host, Port: 6379})
	}
	b := new(emulate.Board)
	b.Publish(emulate.New(o))
	b.SendOff()
	return b
}

// boardOf is what clients are told of a cluster of proxies, of which this is the first.
func boardOf(hosts ...string) *emulate.Board {
	var o emulate.Options
	for _, host := range hosts {
		o.Peers = append(o.Peers, emulate.Address{Host: host, Port: 6379})
	}
	o.Self = o.Peers[0]
	b := new(emulate.Board)
	b.Publish(emulate.New(o))
	return b
}

// helpOf is the answer to a container's HELP: pairs of names and summaries.
func helpOf(name string, pairs ...string) string {
	lines := fmt.Sprintf("*%d\r\n+%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n", 1+len(pairs), name)
	for i := 0; i < len(pairs); i += 2 {
		lines += fmt.Sprintf("+%s\r\n+    %s.\r\n", pairs[i], pairs[i+1])
	}
	return lines
}

func TestLocal(t *testing.T) {
	for _, tt := range conversations {
		t.Run(tt.name, func(t *testing.T) {
			c := converse(t, tt.options)
			for _, x := range tt.talk {
				if got, closed := c.say([]byte(x.say + "\r\n")); got != x.want || closed {
					t.Errorf("%.90s: %q, closed %t, want %q", x.say, got, closed, x.want)
				}
			}
		})
	}
}

const hello = "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:2\r\n$2\r\nid\r\n:7\r\n" +
	"$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"

// TestQuit: also a client that has not said AUTH may leave, and what speaks HTTP
// is cut off.
func TestQuit(t *testing.T) {
	for say, want := range map[string]string{"QUIT\r\n": "+OK\r\n", "POST / HTTP/1.1\r\nSET a b\r\n": "", "host: x\r\n": ""} {
		for _, auth := range []config.Secret{"", "pw"} {
			if got, closed := converse(t, Options{Auth: auth}).say([]byte(say)); got != want || !closed {
				t.Errorf("%q with password %t: %q, closed %t, want %q", say, auth != "", got, closed, want)
			}
		}
	}
}

// TestLocalInChunks: what is answered may be large, and lie in chunks.
func TestLocalInChunks(t *testing.T) {
	var pool mbuf.Pool
	p := New(Options{})
	parser := p.NewRequestParser()
	body := strings.Repeat("x", 300_000)
	data := resp("ECHO", body)
	if n, done, err := parser.Parse(data); n != len(data) || !done || err != nil {
		t.Fatal(n, done, err)
	}
	in := chainOf(&pool, data, 9)
	var out mbuf.Chain
	p.Local(parser.FinishChain(in), &msg.Session{Authenticated: true}, &pool, &out)
	if got, want := string(out.AppendTo(nil)), "$300000\r\n"+body+"\r\n"; got != want {
		t.Errorf("%d bytes differ from the %d wanted", len(got), len(want))
	}
	in.Release(&pool)
	out.Release(&pool)
	if pool.Live() != 0 {
		t.Errorf("%d chunks are still in use", pool.Live())
	}
}

func TestHandshake(t *testing.T) {
	tests := []struct {
		name    string
		options Options
		want    string
		replies []string
		objects []string
	}{
		{"nothing to say", Options{}, "", nil, nil},
		{"AUTH", Options{Auth: "pw"}, "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n", []string{"+OK\r\n"}, []string{""}},
		{"SELECT", Options{DB: 12}, "*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n", []string{"-ERR DB index is out of range\r\n"}, []string{"SELECT 12: ERR DB index is out of range"}},
		{
			"both",
			Options{Auth: "p\r\nw", DB: 1},
			"*2\r\n$4\r\nAUTH\r\n$4\r\np\r\nw\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n",
			[]string{"-ERR Client sent AUTH, but no password is set\r\n", "+OK\r\n"},
			[]string{"AUTH: ERR Client sent AUTH, but no password is set", ""},
		},
		{
			"an error with the password",
			Options{Auth: "secret"},
			"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n",
			[]string{"-ERR unknown command 'AUTH', with args beginning with: 'secret' \r\n"},
			[]string{"AUTH: ERR unknown command 'AUTH'"},
		},
		{
			"the password in another form",
			Options{Auth: "secret"},
			"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n",
			[]string{"-ERR no secret today\r\n"},
			[]string{"AUTH: refused"},
		},
		{"no status", Options{DB: 1}, "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n", []string{":1\r\n"}, []string{"SELECT 1: an unexpected reply"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var pool mbuf.Pool
			var out mbuf.Chain
			p := New(tt.options)
			n := p.Handshake(msg.DefaultLane, &pool, &out)
			if got := string(out.AppendTo(nil)); got != tt.want || n != len(tt.replies) {
				t.Errorf("%q and %d replies, want %q and %d", got, n, tt.want, len(tt.replies))
			}
			for i, r := range tt.replies {
				if got, _ := p.HandshakeReply(msg.DefaultLane, i, []byte(r)); got != tt.objects[i] {
					t.Errorf("to %q it objects %q, want %q", r, got, tt.objects[i])
				}
			}
		})
	}
}

func TestErrors(t *testing.T) {
	var pool mbuf.Pool
	var out mbuf.Chain
	p := New(Options{})
	p.AppendError(&pool, &out, "Connection refused")
	p.AppendCrossServer(&pool, &out, &msg.Request{Type: lookup([]byte("RENAME")).id},
		[]byte("a'\r\n\\\xff"), []byte(strings.Repeat("k", 200)))
	want := "-ERR Connection refused\r\n" +
		`-CROSSSLOT Keys in request don't hash to the same server: 'a\'\x0d\x0a\\\xff' and '` + strings.Repeat("k", 128) + "'... of 'rename'\r\n"
	if got := string(out.AppendTo(nil)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestLookup: names are found in any case, and nothing else is.
func TestLookup(t *testing.T) {
	var container *command
	for i := range commands[1:] {
		c := &commands[i+1]
		find, name := lookup, c.name
		if c.sub == "" {
			container = c
		} else {
			find, name = container.lookupSub, c.sub
		}
		for _, name := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:]} {
			if got := find([]byte(name)); got != c {
				t.Errorf("%s: %s is not found", c.name, name)
			}
		}
		for _, name := range []string{name + "x", "x" + name, name + "\x00"} {
			if got := find([]byte(name)); got != nil && got.name != "" && got.name != name {
				t.Errorf("%s: %q finds %q", c.name, name, got.name)
			}
		}
	}
	for _, name := range []string{
		"", "\x00", strings.Repeat("g", maxName), strings.Repeat("g", maxName+1), "SORT\x7fRO", "ge\x14", "object|freq",
	} {
		if got := lookup([]byte(name)); got.id != unknown {
			t.Errorf("%q finds %q", name, got.name)
		}
		if got := lookup([]byte("object")).lookupSub([]byte(name)); got != nil {
			t.Errorf("object %q finds %q", name, got.name)
		}
	}
}
