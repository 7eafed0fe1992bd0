package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/proto/redis"
	"nuthatch/internal/testkit"
)

// The calls of every command that goes to a server by its keys, made from the
// example in its row, must bring the same reply from nuthatch in front of one
// redis-server as from a redis-server itself.

// stock is what both servers hold before a call: a key of each kind, under its
// own name, where w_a, w_b and w_c are the weights for SORT. Sets hold integers,
// which have an order.
var stock = []string{
	"FLUSHALL",
	"SET str hello", "SET str2 yellow", "SET num 10", "MSET w_a 3 w_b 2 w_c 1",
	"RPUSH list a b c", "RPUSH list2 d e",
	"SADD set 1 2 3", "SADD set2 2 3 4",
	"HSET hash f v n 1",
	"ZADD zset 1 a 2 b 3 c", "ZADD zset2 1 b 2 c 3 d",
	"GEOADD geo 13.361389 38.115556 palermo 15.087269 37.502669 catania",
	"PFADD hll a b c", "PFADD hll2 c d",
	"XADD stream 1-1 f v", "XADD stream 2-1 f w", "XGROUP CREATE stream g 0", "XREADGROUP GROUP g c COUNT 1 STREAMS stream >",
}

// functions is the library that FCALL's example needs.
const functions = `FUNCTION LOAD REPLACE "#!lua name=corpus\nredis.register_function{function_name='echo',callback=function(k,a) return {k[1],a[1]} end,flags={'no-writes'}}"`

// otherKeys stand in for a key of an example: of every kind, missing, empty, and
// not text.
var otherKeys = []string{"str", "num", "list", "set", "hash", "zset", "geo", "hll", "stream", "missing", "", "\x00\xff\r\n"}

// edgeValues stand in for words of an example that are no keys.
var edgeValues = []string{
	"", "0", "-1", "9223372036854775807", "-9223372036854775808", "99999999999999999999", "1.5", "nan", "\x00\xff\r\n'",
	strings.Repeat("x", 1000),
}

// byShape are the commands whose replies are equal in shape only: in the types
// and numbers of their parts.
var byShape = map[string]string{
	"hrandfield":      "fields at random",
	"srandmember":     "members at random",
	"spop":            "members at random",
	"zrandmember":     "members at random",
	"object idletime": "time passes",
	"xinfo consumers": "time passes",
	"xinfo stream":    "FULL tells times",
	"xpending":        "time passes",
	"debug object":    "it tells an address",
	"dump":            "a stream's group has times",
}

// protocols are the versions of RESP that the calls are made in.
var protocols = []string{"2", "3"}

func TestCommandsLikeRedis(t *testing.T) {
	for _, version := range protocols {
		t.Run("RESP"+version, func(t *testing.T) { compareCommands(t, version) })
	}
}

// A duel is a server, and nuthatch in front of another one.
type duel struct {
	t *testing.T
	// server and proxy get the calls; owners, the server and the one behind the
	// proxy, are stocked directly.
	server, proxy *testkit.Client
	owners        [2]*testkit.Client
	stocking      []byte
	version       string
}

func compareCommands(t *testing.T, version string) {
	direct, behind := testkit.StartRedis(t, "--enable-debug-command", "local"), testkit.StartRedis(t, "--enable-debug-command", "local")
	pool := testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(behind), Lines: []string{"databases: 16", "allow_admin: true"}}
	d := &duel{
		t: t, server: direct.Dial(), proxy: testkit.StartNuthatch(t, pool.String(), testkit.Threads(1)).Dial(testkit.Redis),
		owners: [2]*testkit.Client{direct.Dial(), behind.Dial()}, version: version,
	}
	for _, line := range stock {
		d.stocking = append(d.stocking, testkit.RESP(testkit.Command(line)...)...)
	}
	for _, c := range d.owners {
		c.Send(testkit.RESP(testkit.Command(functions)...))
		c.Expect(testkit.Bulk("corpus"))
	}
	if version != "2" {
		d.server.Do("HELLO", version)
		if got := d.proxy.Do("HELLO", version); strings.HasPrefix(got, "-") {
			t.Fatalf("HELLO %s: %q", version, got)
		}
	}
	calls := 0
	for _, row := range redis.Table() {
		if !row.Treatment.ByKeys() {
			continue
		}
		calls += d.compareRow(row)
	}
	t.Logf("%d calls", calls)
}

// stock empties both servers and fills them anew.
func (d *duel) stock() {
	d.t.Helper()
	for _, c := range d.owners {
		c.Send(d.stocking)
	}
	for _, c := range d.owners {
		for i := range stock {
			if got := c.Reply(); strings.HasPrefix(got, "-") {
				d.t.Fatalf("%s: %q", stock[i], got)
			}
		}
	}
}

// compareRow makes a command's calls, and returns their number.
func (d *duel) compareRow(row redis.Row) int {
	d.t.Helper()
	name := strings.Join(row.Name, " ")
	isKnown := d.owners[0].Do("COMMAND", "INFO", strings.Join(row.Name, "|")) != "*1\r\n$-1\r\n"
	calls := callsOf(d.t, row)
	if len(calls) < 10 {
		d.t.Errorf("%s: only %d calls", name, len(calls))
	}
	d.stock()
	wrongArity, wrongType := false, false
	for i, call := range calls {
		if !isKnown && len(call) < row.MinWords {
			continue // nuthatch knows the command, and how many words it needs, and the server does not
		}
		if i > 0 && !row.Reads {
			d.stock()
		}
		b := testkit.RESP(call...)
		d.server.Send(b)
		d.proxy.Send(b)
		want, got := d.server.Reply(), d.proxy.Reply()
		wrongArity = wrongArity || strings.Contains(want, "wrong number of arguments")
		wrongType = wrongType || strings.HasPrefix(want, "-WRONGTYPE")
		switch {
		case i == 0 && isKnown && strings.HasPrefix(want, "-") && !refusedExamples[name]:
			d.t.Errorf("%q: the example is wrong: %q", call, want)
		case byShape[name] != "":
			want, got = shape(want), shape(got)
		}
		if got != want {
			d.t.Errorf("%.300q:\n\tnuthatch %.300q\n\tredis    %.300q", call, got, want)
		}
	}
	if isKnown && (!wrongArity || !wrongType && !slices.Contains(ofAnyType, name)) {
		d.t.Errorf("%s: among its calls is one with a wrong number of words, %t, and with a key of a wrong type, %t", name, wrongArity, wrongType)
	}
	return len(calls)
}

// ofAnyType are the commands that no key has the wrong type for, or that say so
// in words of their own: LCS.
var ofAnyType = strings.Split("mget,mset,msetnx,setex,psetex,setnx,lcs,del,exists,touch,unlink,copy,dump,restore,type,move,rename,renamenx,"+
	"expire,expireat,expiretime,pexpire,pexpireat,pexpiretime,persist,ttl,pttl,object encoding,object freq,object idletime,object refcount,"+
	"memory usage,spublish,watch,eval,eval_ro,evalsha,evalsha_ro,fcall,fcall_ro", ",")

// refusedExamples are the examples that Redis refuses: what they need cannot be
// written down.
var refusedExamples = map[string]bool{"restore": true, "evalsha": true, "evalsha_ro": true, "object freq": true}

// callsOf makes a command's calls of its example: that first; then with too few
// words and one too many; and with each word replaced by others.
func callsOf(t *testing.T, row redis.Row) [][]string {
	t.Helper()
	if row.Example == "" {
		t.Errorf("%s: no example", row.Name)
	}
	right := append(slices.Clone(row.Name), testkit.Command(row.Example)...)
	calls := [][]string{right}
	for n := 1; n < len(right); n++ {
		calls = append(calls, right[:n])
	}
	calls = append(calls, append(slices.Clone(right), "extra"))
	if len(row.Name) == 2 && row.Name[0] != "debug" { // whose other subcommands are refused
		calls = append(calls, append([]string{row.Name[0], "no\r\nsuch"}, right[2:]...))
	}
	keys := keysOf(t, right)
	for i := len(row.Name); i < len(right); i++ {
		others := edgeValues
		if slices.Contains(keys, i) {
			others = otherKeys
		}
		for _, other := range others {
			call := slices.Clone(right)
			call[i] = other
			calls = append(calls, call)
		}
	}
	return calls
}

// keysOf are the indices of the words of a call that are keys.
func keysOf(t *testing.T, call []string) []int {
	t.Helper()
	b := testkit.RESP(call...)
	parser := redis.New(redis.Options{Databases: 16, Servers: 1, AllowAdmin: true}).NewRequestParser()
	if n, done, err := parser.Parse(b); n != len(b) || !done || err != nil {
		t.Fatalf("%q: %d, %t, %v", call, n, done, err)
	}
	r := parser.Finish(b)
	if r.Nkeys == 0 {
		t.Errorf("%q: no key is found", call)
	}
	var keys []int
	for i := range r.Nkeys {
		keys = append(keys, slices.Index(r.Args, r.Key(i)))
	}
	return keys
}

// shape is a reply without its contents: the first bytes of its lines, and the
// numbers of its elements.
func shape(reply string) string {
	var b strings.Builder
	for rest := reply; rest != ""; {
		var line string
		line, rest, _ = strings.Cut(rest, "\r\n")
		b.WriteByte(line[0])
		switch line[0] {
		case '-':
			return line // errors are equal
		case '*', '~', '%':
			b.WriteString(line[1:])
		case '$', '=':
			var n int
			if _, err := fmt.Sscan(line[1:], &n); err == nil && n >= 0 {
				rest = rest[n+2:]
			}
		}
	}
	return b.String()
}
