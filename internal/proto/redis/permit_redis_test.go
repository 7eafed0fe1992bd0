package redis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/acl"
	"nuthatch/internal/config"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/testkit"
)

// ruleSets is how many users are made up, and judged by redis-server and here.
const ruleSets = 300

// batch is how many requests go to redis-server at once.
const batch = 512

// TestPermitAgainstRedis: redis-server's ACL DRYRUN and a real attempt of each command that it knows give the
// same verdict as here, in the same words, for users whose rules are made up. So do ACL LIST
// and the errors of rules that are wrong.
func TestPermitAgainstRedis(t *testing.T) {
	d := newRulesDuel(t)
	r := rand.New(rand.NewPCG(7, 11))
	for right := 0; right < ruleSets && !t.Failed(); {
		rules := d.makeRules(r)
		u := d.setUser(rules)
		if u == nil {
			continue
		}
		right++
		d.compareLine(u)
		d.compareDescription(u)
		requests := d.requests(r)
		d.compareDryRuns(u, rules, requests)
		d.compareAttempts(u, rules, requests)
	}
}

// TestCategoriesAgainstRedis: ACL CAT lists the categories and commands that redis-server
// lists, and newer ones.
func TestCategoriesAgainstRedis(t *testing.T) {
	d := newRulesDuel(t)
	list := func(words ...string) []string {
		v, _ := decode(t, d.admin.Do(words...))
		var names []string
		for _, name := range v.([]any) {
			names = append(names, name.(string))
		}
		return names
	}
	categories := list("ACL", "CAT")
	if ours := acl.CategoryNames()[:len(categories)]; !slices.Equal(ours, categories) {
		t.Errorf("categories %v, redis has %v", ours, categories)
	}
	for _, category := range categories {
		want := list("ACL", "CAT", category)
		all, _ := ACLTable().InCategory(strings.ToUpper(category))
		got := slices.DeleteFunc(all, func(name string) bool { return d.newer[name] })
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s has %v, for redis %v", category, got, want)
		}
	}
	if _, ok := ACLTable().InCategory("nosuch"); ok {
		t.Error("there is a category nosuch")
	}
}

// TestSortAgainstRedis: patterns of SORT need a user who may read all keys, as for
// redis-server.
func TestSortAgainstRedis(t *testing.T) {
	d := newRulesDuel(t)
	d.admin.Do("RPUSH", "l", "1")
	for _, rules := range []string{"~l ~s", "~l ~s %W~*", "%R~* ~s", "~*", "~l ~s (+sort %R~*)", "~l ~s (+sort ~*)", "~l ~s (%R~*)", "%R~** ~s"} {
		u := d.setUser([]string{"reset", "on", "nopass", "+sort", "+sort_ro", rules})
		for _, text := range []string{
			"sort l by nosort", "sort l by w_*", "sort l by w_* get #", "sort l get #", "sort l get o_* by w_*", "sort l limit 0 1 by w_*", "sort l store s", "sort l store s get o_*", "sort l by * store s",
			"sort_ro l by w_*", "sort_ro l get o", "sort m by w_*", "sort l by x by w_* store t",
		} {
			words := strings.Fields(text)
			want := strings.TrimSuffix(d.user.Do(words...), "\r\n")
			req := d.parse(words)
			got := "-" + d.talk.proto.Judge(req, u, 0).Error(d.talk.proto.CommandOf(req))
			if denied := strings.HasPrefix(want, "-NOPERM") || strings.Contains(want, "insufficient ACL"); denied && got != want || !denied && got != "-" {
				t.Errorf("%s: %s: %q, redis says %q", rules, text, got, want)
			}
		}
	}
}

// TestArityBeforeRules: a word too many is told before a denial, as by redis-server, and is none. So it
// is where user_limits has a say.
func TestArityBeforeRules(t *testing.T) {
	d := newRulesDuel(t)
	u := d.setUser([]string{"reset", "on", "nopass", "(~a:* +@all -@dangerous)"})
	limits := []config.UserLimit{{Name: u.Name(), ReadOnly: true, Databases: "1"}}
	told := 0
	for _, o := range []Options{{Users: d.users, Databases: 16}, {Users: d.users, Databases: 16, UserLimits: limits}} {
		p := New(o)
		for _, c := range d.known {
			if c.arity <= 0 {
				continue
			}
			words := strings.Split(c.name, "|")
			for len(words) <= c.arity {
				words = append(words, "z")
			}
			want := d.user.Do(words...)
			req := finished(t, p, resp(words...))
			s := &msg.Session{Authenticated: true, Lane: msg.Lane{RESP: 2}}
			become(s, u)
			if req.Error != "" || p.Allows(req, s) {
				continue // as for all clients
			}
			told++
			var pool mbuf.Pool
			var out mbuf.Chain
			p.Local(req, s, &pool, &out)
			if got := string(out.AppendTo(nil)); got != want || s.Bars&msg.Denied != 0 {
				t.Errorf("%q: %q, denied: %t, redis says %q", words, got, s.Bars&msg.Denied != 0, want)
			}
		}
	}
	if told < 100 {
		t.Errorf("%d commands were refused", told)
	}
}

// A rulesDuel is redis-server and the protocol, with the same user.
type rulesDuel struct {
	t     *testing.T
	admin *testkit.Client
	// user is logged in as the user.
	user *testkit.Client
	talk *conversation
	// known are the rows that redis-server has, newer the names of those it lacks.
	known []*command
	newer map[string]bool
	users *acl.Users
}

func newRulesDuel(t *testing.T) *rulesDuel {
	server := testkit.StartRedis(t, "--enable-debug-command", "yes", "--enable-module-command", "yes")
	d := &rulesDuel{t: t, admin: server.Dial(), user: server.Dial(), talk: converse(t, Options{Databases: 16, AllowFlush: true, AllowMonitor: true}), newer: make(map[string]bool)}
	for i := range commands[1:] {
		c := &commands[1+i]
		if c.answer == answerHTTP {
			continue
		}
		theirs, _ := decode(t, d.admin.Do("COMMAND", "INFO", c.name))
		_, known := theirs.([]any)[0].([]any)
		if known == c.isNewer() {
			t.Errorf("%s: redis knows it: %t, the table says that it is newer: %t", c.name, known, c.isNewer())
		}
		if d.newer[c.name] = !known; known {
			d.known = append(d.known, c)
		}
	}
	if got := d.admin.Do("ACL", "SETUSER", "u", "on", "nopass"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	if got := d.user.Do("AUTH", "u", "x"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	return d
}

// makeRules makes up the rules of a user.
func (d *rulesDuel) makeRules(r *rand.Rand) []string {
	rules := []string{"reset", "on", "nopass"}
	for range 1 + r.IntN(8) {
		if r.IntN(6) > 0 {
			rules = append(rules, d.makeRule(r))
			continue
		}
		var selector []string
		for range 1 + r.IntN(5) {
			selector = append(selector, d.makeRule(r))
		}
		rules = append(rules, "("+strings.Join(selector, " ")+")")
	}
	return append(rules, "(+multi +discard)") // for attempts
}

func (d *rulesDuel) makeRule(r *rand.Rand) string {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	pattern := func() string {
		return pick("a*", "b*", "a1", "b2", "?1", "[ab]2", "[^a]*", "*", "a*2", "\\a1", "**", "l*", "s*")
	}
	name := func() string { return d.known[r.IntN(len(d.known))].name }
	category := func() string { return acl.CategoryNames()[r.IntN(21)] }
	switch r.IntN(16) {
	case 0:
		return "~" + pattern()
	case 1:
		return pick("%R~", "%W~", "%RW~", "%wr~", "%r~") + pattern()
	case 2:
		return pick("%R~", "%W~") + pattern()
	case 3:
		return "&" + pattern()
	case 4, 5, 6:
		return pick("+", "+", "-") + "@" + category()
	case 7, 8, 9:
		return pick("+", "+", "-") + name()
	case 10:
		return pick("+@all", "+@all", "allcommands", "-@all", "nocommands")
	case 11:
		return pick("allkeys", "resetkeys", "allchannels", "resetchannels")
	case 12:
		return "+" + pick("select|0", "select|1", "get|a1", "debug|object", "SET|A1", "eval|x", "config|nosuch", "nosuch", "nosuch|x", "config|get|x", "select|")
	case 13:
		if r.IntN(3) > 0 {
			return "+@read"
		}
		return pick("clearselectors", "%X~a", "~a b", "%~a", "-select|0", "+@nosuch", "-nosuch", "skip-sanitize-payload", "sanitize-payload", "x", "&a b")
	default:
		return pick("+@read", "+@write", "+@all -@dangerous", "+@pubsub", "+@keyspace", "+@slow", "-@slow", "+config|get", "-config|set", "+@fast")
	}
}

// setUser has redis-server and the package acl make a user of rules. It returns nil if both
// refuse them, for the same reason.
func (d *rulesDuel) setUser(rules []string) *acl.User {
	d.t.Helper()
	var words []string
	for _, rule := range rules {
		words = append(words, strings.Split(rule, " ")...)
	}
	theirs := d.admin.Do(append([]string{"ACL", "SETUSER", "u"}, words...)...)
	b := acl.NewBuilder(ACLTable())
	b.File("f", []byte("user u "+strings.Join(words, " ")))
	users, err := b.Build(nil)
	if err == nil {
		if theirs != "+OK\r\n" {
			d.t.Fatalf("%q: redis says %q, here it is right", rules, theirs)
		}
		d.users = users
		return users.Named([]byte("u"))
	}
	fault, _ := errors.AsType[*acl.RuleError](err)
	rule := fault.Rule
	if quoted := strings.Split(theirs, "'"); len(quoted) > 2 && rule == "(not shown)" {
		rule = quoted[1] // it might be a password; redis-server shows it
	}
	if want := fmt.Sprintf("-ERR Error in ACL SETUSER modifier '%s': %s\r\n", rule, fault.Text); theirs != want {
		d.t.Fatalf("%q: redis says %q, want %q", rules, theirs, want)
	}
	return nil
}

// compareLine compares what ACL LIST says of the user. redis-server prints single commands in the order of
// a hash table, and has no words about newer commands.
func (d *rulesDuel) compareLine(u *acl.User) {
	d.t.Helper()
	list, _ := decode(d.t, d.admin.Do("ACL", "LIST"))
	var theirs string
	for _, line := range list.([]any) {
		if line := line.(string); strings.HasPrefix(line, "user u ") {
			theirs = line
		}
	}
	if got, want := d.sorted(u.Line()), d.sorted(theirs); got != want {
		d.t.Errorf("the user is\n%s\nfor redis\n%s", got, want)
	}
}

// compareDescription compares what ACL GETUSER says of the user, but for commands.
func (d *rulesDuel) compareDescription(u *acl.User) {
	d.t.Helper()
	v, _ := decode(d.t, d.admin.Do("ACL", "GETUSER", "u"))
	theirs := v.([]any)
	of := func(values []any, name string) any { return values[slices.Index(values, any(name))+1] }
	same := func(s acl.SelectorDescription, values []any) bool {
		return s.Keys == of(values, "keys") && s.Channels == of(values, "channels") && d.sorted(s.Commands) == d.sorted(of(values, "commands").(string))
	}
	ours := u.Describe()
	selectors := of(theirs, "selectors").([]any)
	if fmt.Sprint(of(theirs, "flags")) != fmt.Sprint(ours.Flags) || fmt.Sprint(of(theirs, "passwords")) != fmt.Sprint(ours.Passwords) || len(selectors) != len(ours.Selectors) || !same(ours.Root, theirs) {
		d.t.Errorf("the user is %+v, for redis %v", ours, theirs)
		return
	}
	for i, s := range selectors {
		if !same(ours.Selectors[i], s.([]any)) {
			d.t.Errorf("a selector is %+v, for redis %v", ours.Selectors[i], s)
		}
	}
}

// sorted sorts the single commands among a line's words, and leaves out the newer ones.
func (d *rulesDuel) sorted(line string) string {
	var words, singles []string
	flush := func() {
		slices.Sort(singles)
		words, singles = append(words, singles...), nil
	}
	for word := range strings.FieldsSeq(line) {
		bare, closes := strings.CutSuffix(word, ")")
		if isSingle := (word[0] == '+' || word[0] == '-') && word[1] != '@'; isSingle {
			if !d.newer[bare[1:]] {
				singles = append(singles, bare)
			}
		} else {
			flush()
			words = append(words, bare)
		}
		if closes {
			flush()
			words = append(words, ")")
		}
	}
	flush()
	return strings.Join(words, " ")
}

// keyWords are calls in which the words K are keys, and C channels.
var keyWords = []string{
	"sort K store K", "sort K limit 0 1 store K", "sort K by x get y store K desc", "sort_ro K", "georadius K 1 2 3 m store K", "georadius K 1 2 3 m storedist K store K",
	"georadiusbymember K m 3 m asc storedist K", "xread streams K 0", "xread count 1 block 0 streams K K 0 0", "xreadgroup group g c streams K K > >", "xreadgroup group streams c count 1 streams K 0",
	"copy K K", "copy K K db 1 replace", "eval x 2 K K K", "eval x 0 K", "eval_ro x 1 K", "evalsha x 1 K", "fcall f 2 K K", "fcall_ro f 1 K y", "migrate h 1 K 0 1", "migrate h 1  0 1 keys K K",
	"migrate h 1  0 1 copy auth p keys K", "zunionstore K 2 K K weights 1 2", "zinterstore K 1 K", "zdiffstore K 2 K K", "zunion 2 K K", "zrangestore K K 0 1", "bitop and K K K", "lmove K K left right", "blmove K K left right 0",
	"blpop K K 0", "brpoplpush K K 0", "blmpop 0 2 K K left", "lmpop 1 K left", "zmpop 2 K K min", "bzmpop 0 1 K min", "sintercard 2 K K", "sinterstore K K K", "sdiff K K", "set K v", "set K v get", "set K v ex 1 get",
	"bitfield K get u8 0", "bitfield K set u8 0 1", "bitfield K overflow wrap get u8 1", "bitfield_ro K get u8 0", "mset K v K w", "msetnx K v", "mget K K K", "del K K", "rename K K", "renamenx K K", "smove K K m", "pfcount K K",
	"pfmerge K K K", "pfdebug getreg K", "lcs K K", "object encoding K", "memory usage K", "restore K 0 x", "restore-asking K 0 x", "geosearchstore K K fromlonlat 1 2 byradius 1 m", "watch K K", "touch K", "getex K persist", "exists K K", "strlen K",
	"publish C m", "spublish C m", "subscribe C C", "ssubscribe C C", "psubscribe C C", "unsubscribe C", "sunsubscribe C", "punsubscribe", "xgroup create K g 0", "xinfo stream K", "select 0", "select 1", "config get x", "config set x y",
	"client tracking on", "function load x", "script load x", "dbsize", "keys C", "flushall", "randomkey", "swapdb 0 1", "move K 1", "mget K",
}

// requests makes up requests: one for each command that redis-server knows, and others.
func (d *rulesDuel) requests(r *rand.Rand) [][]string {
	fill := func(words []string) []string {
		for i, w := range words {
			if w == "K" || w == "C" {
				words[i] = []string{"a1", "a2", "b1", "b2", "c", "", "a", "A1"}[r.IntN(8)]
			}
		}
		return words
	}
	var all [][]string
	for _, c := range d.known {
		words := strings.Split(c.name, "|")
		if c.example != "" {
			words = append(words, testkit.Command(c.example)...)
		} else {
			for len(words) < max(c.arity, 1-c.arity) {
				words = append(words, "K")
			}
		}
		all = append(all, fill(words))
	}
	for _, text := range keyWords {
		all = append(all, fill(strings.Split(text, " ")))
	}
	return all
}

// parse parses a request.
func (d *rulesDuel) parse(words []string) *msg.Request {
	data := resp(words...)
	if n, done, err := d.talk.parser.Parse(data); n != len(data) || !done || err != nil {
		d.t.Fatal(words, n, done, err)
	}
	return d.talk.parser.Finish(data)
}

// inBatches sends requests, and calls each with the number and the reply of every one.
func inBatches(c *testkit.Client, requests [][]string, each func(i int, reply string)) {
	for begin := 0; begin < len(requests); begin += batch {
		part := requests[begin:min(begin+batch, len(requests))]
		var b []byte
		for _, words := range part {
			b = append(b, testkit.RESP(words...)...)
		}
		c.Send(b)
		for i := range part {
			each(begin+i, c.Reply())
		}
	}
}

// compareDryRuns compares ACL DRYRUN's words.
func (d *rulesDuel) compareDryRuns(u *acl.User, rules []string, requests [][]string) {
	d.t.Helper()
	var dryRuns [][]string
	for _, words := range requests {
		dryRuns = append(dryRuns, append([]string{"ACL", "DRYRUN", u.Name()}, words...))
	}
	inBatches(d.admin, dryRuns, func(i int, want string) {
		text, fault := d.talk.proto.DryRun(d.parse(dryRuns[i]), d.users, 0)
		got := "+" + text + "\r\n"
		if fault {
			got = "-ERR " + text + "\r\n"
		} else if text != "OK" {
			got = fmt.Sprintf("$%d\r\n%s\r\n", len(text), text)
		}
		if got != want {
			d.t.Errorf("%q: %q: %q, redis says %q", rules, requests[i], got, want)
		}
	})
}

// compareAttempts compares the error of each request with that of an attempt on
// redis-server. There it is only queued in a transaction.
func (d *rulesDuel) compareAttempts(u *acl.User, rules []string, requests [][]string) {
	d.t.Helper()
	var attempts [][]string
	for _, words := range requests {
		if !slices.Contains(outsideMulti, words[0]) {
			attempts = append(attempts, []string{"MULTI"}, words, []string{"DISCARD"})
		}
	}
	inBatches(d.user, attempts, func(i int, want string) {
		if i%3 != 1 {
			return
		}
		want, denied := strings.CutPrefix(strings.TrimSuffix(want, "\r\n"), "-NOPERM ")
		req := d.parse(attempts[i])
		v := d.talk.proto.Judge(req, u, 0)
		got := strings.TrimPrefix(v.Error(d.talk.proto.CommandOf(req)), "NOPERM ")
		switch {
		case v.Denial >= acl.DeniedSortBy:
			// Only the command itself says so, when it is carried out.
			if denied {
				d.t.Errorf("%q: %q: %q, redis says %q", rules, attempts[i], got, want)
			}
		case denied != !v.IsAllowed(), denied && got != want:
			d.t.Errorf("%q: %q: %q, redis says %q", rules, attempts[i], got, want)
		}
	})
}

// outsideMulti are commands that are never queued, or refused in a transaction whatever the
// user.
var outsideMulti = []string{"multi", "exec", "discard", "watch", "quit", "reset", "psync", "save", "shutdown", "sync"}
