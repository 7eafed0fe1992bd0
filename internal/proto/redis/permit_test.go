package redis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nuthatch/internal/acl"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/testkit"
)

// userOf returns a user with these rules.
func userOf(t testing.TB, rules string) *acl.User {
	t.Helper()
	b := acl.NewBuilder(ACLTable())
	b.User("test", "u", rules)
	users, err := b.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return users.Named([]byte("u"))
}

// judged is what is said to a user who sends a request, or "".
func judged(t testing.TB, p *Protocol, u *acl.User, db int, words ...string) string {
	t.Helper()
	req := finished(t, p, resp(words...))
	return p.Judge(req, u, db).Error(p.CommandOf(req))
}

func finished(t testing.TB, p *Protocol, data []byte) *msg.Request {
	t.Helper()
	parser := p.NewRequestParser()
	if n, done, err := parser.Parse(data); n != len(data) || !done || err != nil {
		t.Fatalf("%q: %d of %d bytes, %t, %v", data, n, len(data), done, err)
	}
	return parser.Finish(data)
}

const (
	deniedKey     = "NOPERM this user has no permissions to access one of the keys used as arguments"
	deniedChannel = "NOPERM this user has no permissions to access one of the channels used as arguments"
	deniedDB      = "NOPERM No permissions to access database"
	deniedBy      = "ERR BY option of SORT denied due to insufficient ACL permissions."
	deniedGet     = "ERR GET option of SORT denied due to insufficient ACL permissions."
)

// TestNoWayAroundKeys: keys in places where access control lists have been evaded are judged, too:
// the user may read r and write w, and nothing else.
func TestNoWayAroundKeys(t *testing.T) {
	u := userOf(t, "on nopass +@all %R~r* %W~w* &c")
	p := New(Options{Servers: 1, Databases: 16})
	for text, want := range map[string]string{
		"SORT r":                                 "",
		"SORT r STORE w":                         "",
		"SORT r STORE r":                         deniedKey,
		"SORT r STORE x":                         deniedKey,
		"SORT r LIMIT 0 1 STORE w STORE x":       deniedKey,
		"SORT r BY nosort":                       "",
		"SORT r BY w_*":                          deniedBy,
		"SORT r GET r":                           deniedGet,
		"SORT_RO r GET x_*":                      deniedGet,
		"GEORADIUS r 1 2 3 m":                    "",
		"GEORADIUS r 1 2 3 m STORE w":            "",
		"GEORADIUS r 1 2 3 m STORE x":            deniedKey,
		"GEORADIUS r 1 2 3 m STORE w STORE x":    deniedKey,
		"GEORADIUS r 1 2 3 m STORE x STORE w":    deniedKey,
		"GEORADIUS r 1 2 3 m STOREDIST r":        deniedKey,
		"GEORADIUSBYMEMBER r m 3 m STORE x":      deniedKey,
		"XREAD COUNT 1 STREAMS r r2 0 0":         "",
		"XREAD COUNT 1 STREAMS r x 0 0":          deniedKey,
		"XREAD BLOCK 0 STREAMS x 0":              deniedKey,
		"XREADGROUP GROUP STREAMS c STREAMS x 0": deniedKey,
		"COPY r w":                               "",
		"COPY w w":                               deniedKey,
		"COPY r r":                               deniedKey,
		"COPY r x DB 1 REPLACE":                  deniedKey,
		"COPY r x DB 99":                         deniedKey,
		"EVAL x 0 x":                             "",
		"EVAL s 1 r w":                           deniedKey,
		"EVAL_RO s 1 r x":                        "",
		"EVAL_RO s 2 r x":                        deniedKey,
		"FCALL f 1 x":                            deniedKey,
		"MSETEX 2 w a w2 b EX 10":                "",
		"MSETEX 2 w a r b EX 10":                 deniedKey,
		"MSETEX 2 w a r b NX":                    deniedKey,
		"ZUNIONSTORE w 2 r r2":                   "",
		"ZUNIONSTORE r 1 r":                      deniedKey,
		"ZUNIONSTORE w 2 r x":                    deniedKey,
		"BITOP AND w r r2":                       "",
		"BITOP AND w r x":                        deniedKey,
		"LMOVE r w LEFT LEFT":                    deniedKey,
		"MIGRATE h 1 r 0 1":                      deniedKey,
		"MIGRATE h 1  0 1 KEYS r x":              deniedKey,
		"SET w v":                                "",
		"SET w v GET":                            deniedKey,
		"BITFIELD r GET u8 0":                    "",
		"BITFIELD r INCRBY u8 0 1":               deniedKey,
		"HIMPORT SET x f v w":                    deniedKey,
		"EXISTS r w":                             "",
		"EXISTS x":                               deniedKey,
		"MGET r x":                               deniedKey,
		"MSET w 1 r 2":                           deniedKey,
		"WATCH x":                                deniedKey,
		"DEBUG OBJECT x":                         deniedKey,
		"PUBLISH c m":                            "",
		"PUBLISH d m":                            deniedChannel,
		"SUBSCRIBE c d":                          deniedChannel,
		"PSUBSCRIBE c":                           "",
		"PSUBSCRIBE c*":                          deniedChannel,
		"SSUBSCRIBE d":                           deniedChannel,
		"UNSUBSCRIBE d":                          "",
		"SPUBLISH d m":                           deniedChannel,
	} {
		if got := judged(t, p, u, 0, strings.Split(text, " ")...); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// TestKeysThatHide: a request whose words do not say where its keys are needs a user who may use
// all keys: a server might find some that are not seen here.
func TestKeysThatHide(t *testing.T) {
	p := New(Options{Servers: 1})
	some, all := userOf(t, "+@all ~*a* ~*1* ~*x*"), userOf(t, "+@all ~*")
	for _, text := range []string{"XREAD STREAMS a b 0", "XREAD COUNT 1 STREAMS", "EVAL x 2 a", "EVAL x a a", "ZUNION 0 a", "MSET a 1 a", "MSETEX 3 a 1", "LMPOP x a LEFT"} {
		words := strings.Fields(text)
		if got := judged(t, p, some, 0, words...); got != deniedKey {
			t.Errorf("%s: %q", text, got)
		}
		if got := judged(t, p, all, 0, words...); got != "" {
			t.Errorf("%s: %q for a user of all keys", text, got)
		}
	}
	long := strings.Repeat("a", maxWord+1)
	for _, words := range [][]string{{"GET", long}, {"MGET", "a", long}} {
		if got := judged(t, p, some, 0, words...); got != deniedKey {
			t.Errorf("a key of %d bytes: %q", len(long), got)
		}
	}
	if got := judged(t, p, some, 0, "PUBLISH", long, "x"); got != deniedChannel {
		t.Errorf("a channel of %d bytes: %q", len(long), got)
	}
}

// TestJudgedFirst: a denial comes before other refusals, but for an unknown command and a
// wrong number of words, and those commands that everybody may use are never denied.
func TestJudgedFirst(t *testing.T) {
	p := New(Options{Servers: 3})
	u := userOf(t, "+get +command ~a")
	for text, want := range map[string]string{
		"GET": "", "GET a b": "", "NOSUCH": "", "CONFIG NOSUCH": "", "CONFIG": "", "COMMAND": "", "COMMAND NOSUCH": "", "COMMAND COUNT": "",
		"AUTH x": "", "HELLO 3": "", "QUIT": "", "RESET": "",
		"MIGRATE h 1 a 0 1":   "NOPERM this user has no permissions to run the 'migrate' command",
		"FLUSHALL":            "NOPERM this user has no permissions to run the 'flushall' command",
		"MONITOR":             "NOPERM this user has no permissions to run the 'monitor' command",
		"CONFIG GET x":        "NOPERM this user has no permissions to run the 'config|get' command",
		"SHUTDOWN":            "NOPERM this user has no permissions to run the 'shutdown' command",
		"DEBUG SLEEP 1":       "NOPERM this user has no permissions to run the 'debug' command",
		"OBJECT ENCODING b":   "NOPERM this user has no permissions to run the 'object|encoding' command",
		"CLUSTER SLOTS":       "NOPERM this user has no permissions to run the 'cluster|slots' command",
		"SCRIPT LOAD x":       "NOPERM this user has no permissions to run the 'script|load' command",
		"SORT a BY w_* GET x": "NOPERM this user has no permissions to run the 'sort' command",
	} {
		if got := judged(t, p, u, 0, strings.Fields(text)...); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if got := judged(t, p, userOf(t, "+sort ~a"), 0, "SORT", "a", "BY", "w_*"); got != deniedBy {
		t.Errorf("a SORT that is refused for its pattern: %q", got)
	}
}

// TestDatabasesOfUsers: rules on databases concern the client's own, for commands on keys, and those
// that a request names.
func TestDatabasesOfUsers(t *testing.T) {
	p := New(Options{Servers: 1, Databases: 16, AllowFlush: true})
	u := userOf(t, "+@all ~* &* db=1,3")
	for _, tt := range []struct {
		text string
		db   int
		want string
	}{
		{"GET a", 1, ""},
		{"GET a", 0, deniedDB},
		{"DBSIZE", 0, deniedDB},
		{"DBSIZE", 3, ""},
		{"PING", 0, ""},
		{"PUBLISH c m", 0, ""},
		{"SELECT 1", 0, ""},
		{"SELECT 0", 1, deniedDB},
		{"SELECT x", 0, ""},
		{"MOVE a 3", 1, ""},
		{"MOVE a 2", 1, deniedDB},
		{"MOVE a 3", 0, deniedDB},
		{"COPY a b", 1, ""},
		{"COPY a b DB 3 REPLACE", 1, ""},
		{"COPY a b DB 2", 1, deniedDB},
		{"COPY a b DB 3 DB 2", 1, deniedDB},
		{"SWAPDB 1 3", 0, deniedDB},
		{"SWAPDB 1 3", 1, ""},
		{"SWAPDB 1 2", 1, deniedDB},
		{"FLUSHDB", 1, ""},
		{"FLUSHALL", 1, deniedDB},
		{"EVAL x 0", 1, ""},
		{"EVAL x 0", 0, deniedDB},
	} {
		if got := judged(t, p, u, tt.db, strings.Fields(tt.text)...); got != tt.want {
			t.Errorf("%s in %d: %q, want %q", tt.text, tt.db, got, tt.want)
		}
	}
}

// TestLearntCommandsOfUsers: commands of modules are judged by the name, the categories and
// the keys that servers told.
func TestLearntCommandsOfUsers(t *testing.T) {
	p := New(Options{Servers: 1})
	const spec = "*1\r\n*6\r\n+flags\r\n*2\r\n+%s\r\n+%s\r\n+begin_search\r\n*4\r\n+type\r\n+index\r\n+spec\r\n*2\r\n+index\r\n:1\r\n+find_keys\r\n*4\r\n+type\r\n+range\r\n+spec\r\n*6\r\n+lastkey\r\n:0\r\n+keystep\r\n:1\r\n+limit\r\n:0\r\n"
	for name, reply := range map[string]string{
		"json.get": "*1\r\n*10\r\n$8\r\njson.get\r\n:-2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n*2\r\n+@json\r\n+@read\r\n*0\r\n" + strings.NewReplacer("%s\r\n+%s", "RO\r\n+access").Replace(spec) + "*0\r\n",
		"json.set": "*1\r\n*7\r\n$8\r\njson.set\r\n:-4\r\n*1\r\n+write\r\n:1\r\n:1\r\n:1\r\n*2\r\n+@json\r\n+@write\r\n",
	} {
		if objection := p.Learn(aboutCommand+name, []byte(reply)); objection != "" {
			t.Fatal(name, objection)
		}
	}
	for _, tt := range []struct{ rules, text, want string }{
		{"+@json ~a", "JSON.GET a", ""},
		{"+@json ~a", "json.get b", deniedKey},
		{"+@json %W~a", "json.get a", deniedKey},
		{"+@json %R~a", "json.get a", ""},
		{"+@json %R~a", "json.set a $ 1", deniedKey},
		{"+@json %RW~a", "json.set a $ 1", ""},
		{"+@all -json.set ~*", "json.set a $ 1", "NOPERM this user has no permissions to run the 'json.set' command"},
		{"+json.set ~*", "json.get a", "NOPERM this user has no permissions to run the 'json.get' command"},
		{"+@read ~*", "json.get a", ""},
		{"+get ~*", "json.mget a", ""}, // it is not known yet
	} {
		if got := judged(t, p, userOf(t, tt.rules), 0, strings.Fields(tt.text)...); got != tt.want {
			t.Errorf("%s: %s: %q, want %q", tt.rules, tt.text, got, tt.want)
		}
	}
}

// indexSpec and keywordSpec are key specifications, of keys that are read. The latter's keys are
// behind the word STORE.
const (
	specFlags   = "*6\r\n+flags\r\n*2\r\n+RO\r\n+access\r\n+begin_search\r\n*4\r\n"
	indexSpec   = specFlags + "+type\r\n+index\r\n+spec\r\n*2\r\n+index\r\n:%d\r\n+find_keys\r\n*4\r\n"
	keywordSpec = specFlags + "+type\r\n+keyword\r\n+spec\r\n*4\r\n+keyword\r\n+STORE\r\n+startfrom\r\n:2\r\n+find_keys\r\n*4\r\n"
	rangeOf     = "+type\r\n+range\r\n+spec\r\n*6\r\n+lastkey\r\n:%d\r\n+keystep\r\n:1\r\n+limit\r\n:0\r\n"
	countedFrom = "+type\r\n+keynum\r\n+spec\r\n*6\r\n+keynumidx\r\n:0\r\n+firstkey\r\n:1\r\n+keystep\r\n:1\r\n"
)

// TestSpecsNotFound: if one of a learnt command's key specifications leads to no key, though
// there are words for it, then a server may find keys there, whatever the others lead to.
func TestSpecsNotFound(t *testing.T) {
	one, two := fmt.Sprintf(indexSpec+rangeOf, 1, 0), fmt.Sprintf(indexSpec+rangeOf, 2, 1)
	rest, counted := fmt.Sprintf(indexSpec+rangeOf, 2, -1), fmt.Sprintf(indexSpec+countedFrom, 2)
	stored, several := keywordSpec+fmt.Sprintf(rangeOf, 0), keywordSpec+fmt.Sprintf(rangeOf, 1)
	for _, tt := range []struct{ second, text, want string }{
		{two, "x.some a a a", ""},
		{two, "x.some a a b", deniedKey},
		{two, "x.some a b", deniedKey}, // two keys, of which one is missing
		{two, "x.some a", ""},
		{rest, "x.some a", ""},
		{rest, "x.some a a b", deniedKey},
		{counted, "x.some a 1 a", ""},
		{counted, "x.some a 1 b", deniedKey},
		{counted, "x.some a 2 b", deniedKey},
		{counted, "x.some a +1 b", deniedKey},
		{counted, "x.some a 01 b", deniedKey},
		{counted, "x.some a x b", deniedKey},
		{counted, "x.some a 99999999999999999999 b", deniedKey},
		{counted, "x.some a", ""},
		{stored, "x.some a b", ""},
		{stored, "x.some a STORE", ""},
		{stored, "x.some a STORE a", ""},
		{stored, "x.some a STORE b", deniedKey},
		{several, "x.some a STORE b", deniedKey},
	} {
		p := New(Options{Servers: 1})
		reply := "*1\r\n*10\r\n" + bulkOf("x.some") + ":-2\r\n*0\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*2\r\n" + one + tt.second + "*0\r\n"
		if objection := p.Learn(aboutCommand+"x.some", []byte(reply)); objection != "" {
			t.Fatal(objection)
		}
		if l := p.learned.command([]byte("x.some")); len(l.specs) != 2 {
			t.Fatalf("%d specifications", len(l.specs))
		}
		if got := judged(t, p, userOf(t, "+@all ~a"), 0, strings.Fields(tt.text)...); got != tt.want {
			t.Errorf("%q: %s: %q, want %q", tt.second, tt.text, got, tt.want)
		}
		if got := judged(t, p, userOf(t, "+@all ~*"), 0, strings.Fields(tt.text)...); got != "" {
			t.Errorf("%q: %s: %q for a user of all keys", tt.second, tt.text, got)
		}
	}
}

// TestCategoriesFromFlags: a learnt command is in the categories that follow from its flags,
// also where servers tell no categories, as before Redis 6.
func TestCategoriesFromFlags(t *testing.T) {
	all := []string{"write", "read", "admin", "dangerous", "pubsub", "blocking", "fast", "slow"}
	for flags, want := range map[string]string{
		"": "slow", "write": "write slow", "readonly fast": "read fast", "admin": "admin dangerous slow", "pubsub": "pubsub slow",
		"write blocking": "write blocking slow", "write fast denyoom": "write fast",
	} {
		var words []string
		for flag := range strings.FieldsSeq(flags) {
			words = append(words, status(flag))
		}
		p := New(Options{Servers: 1})
		if objection := p.Learn(aboutCommand+"json.set", []byte(infoOf("json.set", -2, 1, 1, 1, words...))); objection != "" {
			t.Fatal(objection)
		}
		for _, category := range all {
			in := slices.Contains(strings.Fields(want), category)
			if got := judged(t, p, userOf(t, "+@all -@"+category+" ~*"), 0, "JSON.SET", "a"); (got != "") != in {
				t.Errorf("flags %q, +@all -@%s: %q", flags, category, got)
			}
			if got := judged(t, p, userOf(t, "+@"+category+" ~*"), 0, "JSON.SET", "a"); (got == "") != in {
				t.Errorf("flags %q, +@%s: %q", flags, category, got)
			}
		}
	}
	for text, want := range map[string]acl.Categories{
		"fast":                 acl.CategoriesOf("fast", "read"),
		"json":                 acl.CategoriesOf("json", "slow", "read"),
		"scripting":            acl.CategoriesOf("scripting", "slow"),
		"write admin keyspace": acl.CategoriesOf("write", "admin", "keyspace", "slow", "read"),
	} {
		words := strings.Fields(text)
		reply := "*1\r\n*7\r\n" + strings.SplitN(infoOf("x", 1, 0, 0, 0, status("readonly")), "\r\n", 3)[2] + "*" + strconv.Itoa(len(words)) + "\r\n"
		for _, word := range words {
			reply += status("@" + word)
		}
		p := New(Options{Servers: 1})
		if objection := p.Learn(aboutCommand+"x", []byte(reply)); objection != "" {
			t.Fatal(objection)
		}
		if got := p.learned.command([]byte("x")).categories; got != want {
			t.Errorf("categories %q and the flag readonly: %b, want %b", text, got, want)
		}
	}
}

// TestDebugOfUsers: a rule for a subcommand of DEBUG that nuthatch does not know is one for a first word,
// as in Redis 7.0, which knows DEBUG without subcommands.
func TestDebugOfUsers(t *testing.T) {
	p, u := New(Options{Servers: 1}), userOf(t, "~* -@all +debug|sleep +debug|OBJECT")
	for words, want := range map[string]bool{"DEBUG SLEEP 0": true, "debug sleep 0": true, "DEBUG OBJECT k": true, "DEBUG JMAP": false, "DEBUG SDSLEN k": false} {
		if v := p.Judge(finished(t, p, resp(strings.Fields(words)...)), u, 0); v.IsAllowed() != want {
			t.Errorf("%s: %v", words, v)
		}
	}
	if got := u.Line(); !strings.Contains(got, "+debug|sleep") || !strings.Contains(got, "+debug|object") {
		t.Errorf("ACL LIST has %q", got)
	}
}

// TestForgottenCommands: a learnt command that is forgotten before its request is judged
// needs a user of all commands and keys.
func TestForgottenCommands(t *testing.T) {
	p := New(Options{Servers: 1})
	if objection := p.Learn(aboutCommand+"json.get", []byte("*1\r\n*7\r\n$8\r\njson.get\r\n:-2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n*1\r\n+@read\r\n")); objection != "" {
		t.Fatal(objection)
	}
	req := finished(t, p, resp("json.get", "a"))
	p.learned.now.Store(nil)
	for rules, allowed := range map[string]bool{"+@all ~*": true, "+@all ~a": false, "+@read ~*": false, "+json.get ~*": false} {
		if v := p.Judge(req, userOf(t, rules+" db=0"), 0); v.IsAllowed() != allowed {
			t.Errorf("%s: %v", rules, v)
		}
	}
}

// TestJudgeSlices: a request of very many keys is judged in as many slices as are asked for.
func TestJudgeSlices(t *testing.T) {
	const keys = 10_000
	words := append([]string{"MGET"}, strings.Fields(strings.Repeat("ra ", keys-1)+"x")...)
	p := New(Options{Servers: 1})
	req, u := finished(t, p, resp(words...)), userOf(t, "+mget ~r*")
	var trial acl.Trial
	slices := 0
	for done := false; !done; slices++ {
		done = p.JudgeSome(&trial, req, u, 0, 1000)
	}
	if want := (acl.Verdict{Denial: acl.DeniedKey, At: keys}); slices != keys/1000 || trial.Verdict() != want {
		t.Error(slices, trial.Verdict())
	}
}

// TestJudgeIsPure: judging a request changes neither the request nor a second verdict, wherever its words
// lie, and allocates nothing.
func TestJudgeIsPure(t *testing.T) {
	u := userOf(t, "+@all %R~r* %W~w* (+get ~x* &y)")
	for i := range commands {
		c := &commands[i]
		if c.example == "" {
			continue
		}
		data := resp(append(strings.Split(c.name, "|"), testkit.Command(c.example)...)...)
		p := New(Options{Servers: 1})
		req := finished(t, p, data)
		before := *req
		first := p.Judge(req, u, 0)
		if allocs := testing.AllocsPerRun(10, func() { p.Judge(req, u, 0) }); allocs > 0 {
			t.Errorf("%s: %v allocations", c.name, allocs)
		}
		if again := p.Judge(req, u, 0); again != first || before.FirstKey != req.FirstKey || before.Nkeys != req.Nkeys || len(before.Args) != len(req.Args) {
			t.Errorf("%s: %v, then %v", c.name, first, again)
		}
		var inSlices acl.Trial
		for done := false; !done; {
			done = p.JudgeSome(&inSlices, req, u, 0, 1)
		}
		if v := inSlices.Verdict(); v != first {
			t.Errorf("%s: %v, in slices %v", c.name, first, v)
		}
		var pool mbuf.Pool
		parser := p.NewRequestParser()
		if _, done, err := parser.Parse(data); !done || err != nil {
			t.Fatal(err)
		}
		chain := chainOf(&pool, data, len(data)/2)
		if split := p.Judge(parser.FinishChain(chain), u, 0); split != first {
			t.Errorf("%s: %v in one piece, %v in two", c.name, first, split)
		}
		chain.Release(&pool)
	}
}

// BenchmarkJudge judges requests of a user with few rules.
func BenchmarkJudge(b *testing.B) {
	p := New(Options{Servers: 1})
	u := userOf(b, "+@all -@admin ~user:* ~session:*")
	for name, words := range map[string][]string{
		"get":  {"GET", "session:0123456789"},
		"mget": append([]string{"MGET"}, strings.Fields(strings.Repeat("session:0123456789 ", 16))...),
		"sort": {"SORT", "user:1", "LIMIT", "0", "10", "STORE", "session:1"},
	} {
		req := finished(b, p, resp(words...))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v := p.Judge(req, u, 0); !v.IsAllowed() {
					b.Fatal(v)
				}
			}
		})
	}
}

// FuzzJudge: a request that goes to servers is allowed if and only if ACL DRYRUN says so, which
// finds the keys by itself, or if it is a SORT with patterns.
func FuzzJudge(f *testing.F) {
	for _, text := range []string{
		"get a", "sort r store w by x", "xread count 1 streams r x 0 0", "eval s 2 r w", "georadius r 1 2 3 m store w storedist x", "msetex 2 r 1 w 2 nx", "zunionstore w 2 r x",
		"copy r w db 1", "migrate h 1  0 1 keys r x", "debug object r", "config get x", "json.get a", "select 1", "psubscribe c d", "command getkeys get a", "mset a 1 b",
	} {
		f.Add(text)
	}
	var all []*acl.Users
	for _, rules := range []string{"+@all %R~r* %W~w* &c db=0", "+@read ~a (+@write ~w* &*) (+debug|object)", "+@all ~* &*", "+get +select|0 %RW~*"} {
		b := acl.NewBuilder(ACLTable())
		b.User("f", "u", rules)
		users, err := b.Build(nil)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, users)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words := strings.Split(text, " ")
		p := New(Options{Servers: 1, Databases: 16, AllowFlush: true, AllowMonitor: true})
		for _, users := range all {
			u := users.Named([]byte("u"))
			said, fault := p.DryRun(finished(t, p, resp(append([]string{"acl", "dryrun", "u"}, words...)...)), users, 0)
			req := finished(t, p, resp(words...))
			v := p.Judge(req, u, 0)
			if fault || !req.ToServers() || v.Denial >= acl.DeniedSortBy {
				continue
			}
			if got := v.IsAllowed(); got != (said == "OK") {
				t.Fatalf("%s: %q: allowed %t, dry run: %s", u.Line(), words, got, said)
			}
		}
	})
}
