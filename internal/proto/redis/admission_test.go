package redis

import (
	"errors"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/acl"
	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// prepare parses a request and prepares it for all servers. It returns why not.
func prepare(t *testing.T, o Options, words ...string) string {
	t.Helper()
	p := New(o)
	r := parseWords(t, p, words...)
	if r.Treatment != msg.Broadcast {
		t.Fatalf("%q: treatment %d, %q", words, r.Treatment, r.Error)
	}
	switch ok := p.Prepare(r, &msg.Session{Authenticated: true}); {
	case ok != (r.Error == ""):
		t.Errorf("%q: to be sent %t, %q", words, ok, r.Error)
	case !r.Everyone:
		t.Errorf("%q does not go to servers that are ejected", words)
	}
	return r.Error
}

// What administers servers needs the right to do so, in a transaction too.
func TestAdministration(t *testing.T) {
	for _, text := range []string{
		"CONFIG SET maxmemory 1", "config resetstat", "CONFIG REWRITE", "SAVE", "BGSAVE", "BGSAVE SCHEDULE", "BGREWRITEAOF", "MEMORY PURGE",
	} {
		words := strings.Fields(text)
		for _, servers := range []int{1, 3} {
			if got := prepare(t, Options{Servers: servers}, words...); got != noAdmin {
				t.Errorf("%s without the right: %q", text, got)
			}
			if got := prepare(t, Options{Servers: servers, AllowAdmin: true}, words...); got != "" {
				t.Errorf("%s: %q", text, got)
			}
		}
		for _, tt := range []struct {
			options Options
			want    msg.Queueing
			why     string
		}{
			{Options{Servers: 1}, msg.Unqueued, noAdmin},
			{Options{Servers: 1, AllowAdmin: true}, msg.Queued, ""},
			{Options{Servers: 3, AllowAdmin: true}, msg.Unqueued, everyServer},
		} {
			p := New(tt.options)
			r := parseWords(t, p, words...)
			if got := p.Collect(r, &msg.Session{Authenticated: true, Bars: msg.Collecting}); got != tt.want || r.Error != tt.why {
				t.Errorf("%s in a transaction: %d, %q, want %d, %q", text, got, r.Error, tt.want, tt.why)
			}
		}
	}
}

// Where clients are users, those who have logged in by name may administer servers without
// allow_admin. Their rules decide which commands they may send, and are looked at before.
func TestAdministrationByUsers(t *testing.T) {
	b := acl.NewBuilder(ACLTable())
	b.User("test", "ops", "on nopass ~* +@all")
	b.User("test", "default", "on nopass ~* +@all")
	users, err := b.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := New(Options{Users: users, Servers: 1})
	for _, tt := range []struct {
		user uint16
		want bool
	}{{users.Named([]byte("ops")).Number(), true}, {0, false}} {
		s := &msg.Session{Authenticated: true, User: tt.user}
		if got := p.Prepare(parseWords(t, p, "CONFIG", "SET", "maxmemory", "1"), s); got != tt.want {
			t.Errorf("CONFIG SET by user %d: %t", tt.user, got)
		}
		if p.Prepare(parseWords(t, p, "CONFIG", "SET", "dir", "/"), s) {
			t.Errorf("CONFIG SET dir by user %d is sent", tt.user)
		}
	}
}

// The rules of the user default count if they ask for a password. Whoever may not reset
// statistics may not have all servers give memory back.
func TestAdministrationByRules(t *testing.T) {
	const all = "on ~* &* +@all"
	for _, tt := range []struct {
		name    string
		auth    config.Secret
		byUser  string
		rules   string // of ops; of default, if it is the user
		command string
		allow   bool
		want    bool
	}{
		{"default with a password", "", "default", all + " >pw", "BGSAVE", false, true},
		{"default with a password and @admin", "", "default", "on >pw ~* +@admin", "BGSAVE", false, true},
		{"default without a password", "", "default", all + " nopass", "BGSAVE", false, false},
		{"default without a password, few rules", "", "default", "on nopass +@admin", "BGSAVE", false, false},
		{"default without a password, with the right", "", "default", all + " nopass", "BGSAVE", true, true},
		{"default without rules", "", "default", "", "BGSAVE", false, false},
		{"the pool's password", "pw", "default", "", "BGSAVE", false, false},
		{"the pool's password, with the right", "pw", "default", "", "BGSAVE", true, true},
		{"purge by a user of all", "", "ops", all + " nopass", "MEMORY PURGE", false, true},
		{"purge without administration", "", "ops", all + " nopass -@admin -@dangerous", "MEMORY PURGE", false, false},
		{"purge without resets", "", "ops", all + " nopass -config|resetstat", "MEMORY PURGE", false, false},
		{"purge by name alone", "", "ops", "on nopass +memory|purge", "MEMORY PURGE", false, false},
		{"purge and reset", "", "ops", "on nopass +memory|purge +config|resetstat", "MEMORY PURGE", false, true},
		{"purge without administration, with the right", "", "ops", all + " nopass -@admin", "MEMORY PURGE", true, true},
		{"purge by default without administration", "", "default", all + " >pw -@admin", "MEMORY PURGE", false, false},
		{"save by its name alone", "", "ops", "on nopass +bgsave", "BGSAVE", false, true},
	} {
		conf := &config.Pool{RedisAuth: tt.auth, Users: []config.User{{Name: "other", Rules: "on"}}}
		if tt.rules != "" {
			conf.Users = append(conf.Users, config.User{Name: tt.byUser, Rules: config.Secret(tt.rules)})
		}
		users, err := NewUsers("test", conf, nil, nil)
		if err != nil {
			t.Fatal(tt.name, err)
		}
		for _, servers := range []int{1, 3} {
			p := New(Options{Auth: tt.auth, Users: users, Servers: servers, AllowAdmin: tt.allow})
			s := &msg.Session{Authenticated: true}
			become(s, users.Named([]byte(tt.byUser)))
			r := parseWords(t, p, strings.Fields(tt.command)...)
			if got := p.Allows(r, s) && p.Prepare(r, s); got != tt.want {
				t.Errorf("%s, %d servers: %s is sent %t, %q", tt.name, servers, tt.command, got, r.Error)
			}
		}
	}
}

// The commands of administration about one server are passed on by a pool of one, with the
// right. Others refuse them.
func TestAdministrationOfOneServer(t *testing.T) {
	for _, text := range []string{
		"COMMANDLOG GET 1 slow", "commandlog len slow", "COMMANDLOG RESET slow", "HOTKEYS GET", "HOTKEYS START METRICS 1 CPU", "HOTKEYS STOP", "HOTKEYS RESET",
		"BACKUP START", "BACKUP STATUS", "BACKUP LIST", "BACKUP SEAL", "BACKUP ABORT", "BACKUP CLEANUP",
	} {
		words := strings.Fields(text)
		if got := prepare(t, Options{Servers: 1}, words...); got != noAdmin {
			t.Errorf("%s without the right: %q", text, got)
		}
		if got := prepare(t, Options{Servers: 1, AllowAdmin: true}, words...); got != "" {
			t.Errorf("%s: %q", text, got)
		}
		if r := parseWords(t, New(Options{Servers: 3, AllowAdmin: true}), words...); r.Treatment != msg.Local || r.Error != oneServer && r.Error != sharedServer {
			t.Errorf("%s in a pool of three servers: treatment %d, %q", text, r.Treatment, r.Error)
		}
	}
}

// What looks into a server at its keys is passed on by a pool of one, with the right, or to users
// whose rules allow it. All else of DEBUG is for nobody.
func TestInspection(t *testing.T) {
	conf := &config.Pool{Users: []config.User{{Name: "ops", Rules: "on nopass ~a* +@all"}, {Name: "app", Rules: "on nopass ~* +@all -@admin"}}}
	users, err := NewUsers("test", conf, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"DEBUG OBJECT a", "debug sdslen a", "DEBUG DIGEST-VALUE a a"} {
		words := strings.Fields(text)
		for _, tt := range []struct {
			o      Options
			refuse string
		}{
			{Options{Servers: 1}, noAdmin},
			{Options{Servers: 1, AllowAdmin: true}, ""},
			{Options{Servers: 1, Users: users}, ""},
			{Options{Servers: 1, Passthrough: true}, ""},
			{Options{Servers: 3, AllowAdmin: true}, oneServer},
			{Options{Servers: 3, Users: users}, oneServer},
			{Options{Servers: 1, AllowAdmin: true, Cluster: true}, oneServer},
		} {
			r := parseWords(t, New(tt.o), words...)
			if r.Error != tt.refuse || r.Treatment == msg.Forward != (tt.refuse == "") {
				t.Errorf("%s with %d servers, allow_admin: %t, users: %t: treatment %d, %q", text, tt.o.Servers, tt.o.AllowAdmin, tt.o.Users != nil, r.Treatment, r.Error)
			}
		}
		p := New(Options{Servers: 1, Users: users})
		for name, want := range map[string]bool{"ops": true, "app": false} {
			s := &msg.Session{Authenticated: true}
			become(s, users.Named([]byte(name)))
			if got := p.Allows(parseWords(t, p, words...), s); got != want {
				t.Errorf("%s by %s: allowed: %t", text, name, got)
			}
			words[len(words)-1] = "b"
			if p.Allows(parseWords(t, p, words...), s) {
				t.Errorf("%s by %s, with another's key, is allowed", text, name)
			}
			words[len(words)-1] = "a"
		}
	}
}

// A pool of one server tells its modules. Others do not.
func TestModulesOfOneServer(t *testing.T) {
	for servers, want := range map[int]string{1: "", 3: oneServer} {
		if r := parseWords(t, New(Options{Servers: servers}), "MODULE", "LIST"); r.Error != want || r.Treatment == msg.Local != (want != "") {
			t.Errorf("%d servers: treatment %d, %q", servers, r.Treatment, r.Error)
		}
	}
}

// These are for nobody, whatever the pool allows, in a pool of one server too.
func TestNeverAdministered(t *testing.T) {
	for _, text := range []string{
		"SHUTDOWN", "shutdown NOSAVE", "DEBUG SLEEP 1", "DEBUG SEGFAULT", "DEBUG CHANGE-REPL-ID", "PFDEBUG TODENSE k", "PFDEBUG GETREG k", "REPLICAOF NO ONE", "SLAVEOF h 1", "FAILOVER", "MODULE LOAD x", "MODULE LOADEX x", "MODULE UNLOAD x",
		"SWAPDB 0 1", "PSYNC ? -1", "SYNC", "REPLCONF x", "MIGRATE h 1 k 0 5", "CLUSTER RESET", "CLUSTER MEET h 1",
	} {
		for _, servers := range []int{1, 3} {
			p := New(Options{Servers: servers, AllowAdmin: true, AllowFlush: true, AllowMonitor: true})
			if r := parseWords(t, p, strings.Fields(text)...); r.Treatment != msg.Local || r.Error == "" {
				t.Errorf("%s: treatment %d, %q", text, r.Treatment, r.Error)
			}
		}
	}
}

// CONFIG SET leaves alone what belongs to those who run the servers, in whatever words,
// and what the proxy shows as its own.
func TestUnsettable(t *testing.T) {
	set := func(words ...string) string {
		return prepare(t, Options{AllowAdmin: true, Servers: 1}, append([]string{"CONFIG", "SET"}, words...)...)
	}
	for name := range strings.FieldsSeq(`requirepass masterauth masteruser dir dbfilename port tls-port bind unixsocket unixsocketperm maxclients timeout
		aclfile logfile protected-mode enable-debug-command enable-module-command rename-command include loadmodule tls-cert-file tls-key-file tls-ca-cert-dir
		client-output-buffer-limit client-query-buffer-limit maxmemory-clients proto-max-bulk-len slowlog-max-len slowlog-log-slower-than databases
		replicaof slaveof replica-announce-ip cluster-enabled appendfilename appenddirname tls-any cluster-any some.module`) {
		for _, name := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:]} {
			for _, words := range [][]string{{name, "x"}, {"maxmemory", "1", name, "x"}, {name, "x", "maxmemory", "1"}, {"maxmemory", "1", name}, {"hz", "10", "maxmemory", "1", name, "x", "save", ""}} {
				why := set(words...)
				if !strings.Contains(why, quote([]byte(strings.ToLower(name)))) || !strings.HasPrefix(why, serversSetting) && !strings.HasPrefix(why, proxysSetting) {
					t.Errorf("CONFIG SET %q: %q", words, why)
				}
			}
		}
	}
	// What is no setting gets Redis's own error, and reaches no server either.
	for name := range strings.FieldsSeq("save* max* * requirepas? [r]equirepass nosuch NoSuch it's") {
		for _, words := range [][]string{{name, "x"}, {"maxmemory", "1", name, "x"}, {name, "x", "maxmemory", "1"}, {name, "1", "requirepass", "x"}} {
			if why := set(words...); why != noSetting+"'"+name+"'" {
				t.Errorf("CONFIG SET %q: %q", words, why)
			}
			if why := set(append(words, "hz")...); why != syntaxError {
				t.Errorf("CONFIG SET %q hz: %q", words, why)
			}
		}
	}
	for _, name := range []string{"maxmemory\x00", "maxmemory ", " maxmemory", "", "maxmemory\r\n", "requirepass\x00x", strings.Repeat("m", maxWord+1)} {
		if why := set(name, "1"); why == "" {
			t.Errorf("CONFIG SET %.40q is allowed", name)
		}
	}
	for _, words := range [][]string{
		{"notify-keyspace-events", "KEA"},
		{"NOTIFY-keyspace-events", ""},
		{"maxmemory", "1gb", "maxmemory-policy", "allkeys-lru"},
		{"save", "900 1"},
		{"appendonly", "yes"},
		{"maxmemory", "requirepass"}, // a value
	} {
		if why := set(words...); why != "" {
			t.Errorf("CONFIG SET %q: %q", words, why)
		}
	}
	if why := set(strings.Fields(strings.Repeat("maxmemory 1 ", len(settable)+1))...); !strings.Contains(why, manySettings) {
		t.Errorf("many settings: %q", why)
	}
	if why := set("timeout", "1"); !strings.Contains(why, "'client_idle_timeout'") {
		t.Errorf("the proxy's own setting: %q", why)
	}
}

// What clients may set they are shown, as the servers'.
func TestSettableIsShown(t *testing.T) {
	for name := range settable {
		if settings[name] == nil {
			t.Errorf("%s can be set, and CONFIG GET does not show it", name)
		}
	}
	if len(settable) < 60 {
		t.Errorf("%d settings can be set", len(settable))
	}
}

// CLIENT PAUSE pauses the pool, and CLIENT UNPAUSE ends that.
func TestPauseOfClients(t *testing.T) {
	var log []string
	o := Options{
		AllowAdmin: true, Facts: func(bool, func(*Facts)) {},
		Pause:  func(limit time.Duration, by string) error { log = append(log, limit.String()+" "+by); return nil },
		Resume: func(by string) error { log = append(log, "resume "+by); return errors.New("no\r\npool") },
	}
	ask := func(o Options, text string) string {
		t.Helper()
		p, s := New(o), &msg.Session{ID: 7, Authenticated: true, Lane: msg.DefaultLane}
		r := parseOne(t, p, text)
		find, ok := p.Report(r, s)
		if !ok {
			return r.Error
		}
		answer := ""
		find(func(reply []byte) { answer = string(reply) })
		return answer
	}
	for _, tt := range []struct{ text, want, did string }{
		{"CLIENT PAUSE 100", "+OK\r\n", "100ms CLIENT PAUSE of client 7"},
		{"client pause 3600000 all", "+OK\r\n", "1h0m0s CLIENT PAUSE of client 7"},
		{"CLIENT UNPAUSE", "-ERR no  pool\r\n", "resume CLIENT UNPAUSE of client 7"},
		{"CLIENT PAUSE 3600001", pauseLong, ""},
		{"CLIENT PAUSE -1", pauseNegative, ""},
		{"CLIENT PAUSE x", pauseTimeout, ""},
		{"CLIENT PAUSE 1 some", pauseMode, ""},
		{"CLIENT PAUSE 1 write", pauseWrites, ""},
		{"CLIENT PAUSE 1 ALL x", syntaxError, ""},
		{"CLIENT PAUSE", wrongArity, ""},
	} {
		log = nil
		if got := ask(o, tt.text); got != tt.want || strings.Join(log, "") != tt.did {
			t.Errorf("%s: %q, and it did %q; want %q, %q", tt.text, got, log, tt.want, tt.did)
		}
	}
	log, o.AllowAdmin = nil, false
	for _, text := range []string{"CLIENT PAUSE 1", "CLIENT UNPAUSE"} {
		if got := ask(o, text); got != noAdmin || log != nil {
			t.Errorf("%s without the right: %q, and it did %q", text, got, log)
		}
	}
}

// Who holds up all clients of the pool needs more than the category of connections.
func TestPauseByRules(t *testing.T) {
	for rules, want := range map[string]bool{
		"on nopass ~* &* +@all":                           true,
		"on nopass +@admin":                               true,
		"on nopass +client|pause +config|resetstat":       true,
		"on nopass ~* +@read +@connection":                false,
		"on nopass +client|pause":                         false,
		"on nopass ~* &* +@all -@admin -@dangerous +@all": true,
		"on nopass ~* &* +@all -client|pause":             false,
	} {
		users, err := NewUsers("test", &config.Pool{Users: []config.User{{Name: "ops", Rules: config.Secret(rules)}}}, nil, nil)
		if err != nil {
			t.Fatal(rules, err)
		}
		paused := false
		p := New(Options{
			Users: users, Facts: func(bool, func(*Facts)) {},
			Pause:  func(time.Duration, string) error { paused = true; return nil },
			Resume: func(string) error { return nil },
		})
		s := &msg.Session{Authenticated: true, Lane: msg.DefaultLane}
		become(s, users.Named([]byte("ops")))
		r := parseWords(t, p, "CLIENT", "PAUSE", "1")
		if p.Allows(r, s) {
			if find, ok := p.Report(r, s); ok {
				find(func([]byte) {})
			}
		}
		if paused != want {
			t.Errorf("a user with %q pauses: %t, %q", rules, paused, r.Error)
		}
	}
}

// Who lacks the right that MEMORY PURGE and CLIENT PAUSE need besides gets what is said of rules, and it
// is noted as that. allow_admin lifts it.
func TestLackOfReset(t *testing.T) {
	users, err := NewUsers("test", &config.Pool{Users: []config.User{{Name: "ops", Rules: "on nopass +@all -config|resetstat"}}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"memory|purge", "client|pause", "client|unpause"} {
		words := append(strings.Split(name, "|"), []string{"1"}[:strings.Count(name, "|pause")]...)
		c := converse(t, Options{Users: users})
		become(&c.session, users.Named([]byte("ops")))
		c.session.Authenticated = true
		answer, _ := c.say(resp(words...))
		if want := "-NOPERM this user has no permissions to run the '" + name + "' command\r\n"; answer != want || c.session.Bars&msg.Denied == 0 || string(c.proto.guard.denial.object) != name {
			t.Errorf("%q: %q, denied %q", words, answer, c.proto.guard.denial.object)
		}
		p, s := New(Options{Users: users, AllowAdmin: true}), &msg.Session{Authenticated: true}
		become(s, users.Named([]byte("ops")))
		if !p.Allows(parseWords(t, p, words...), s) {
			t.Errorf("%q is refused with allow_admin", words)
		}
	}
}

// HELP and COMMAND list what administers servers for those who may.
func TestAdministrationIsListed(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		c := converse(t, Options{AllowAdmin: allowed, Transactions: config.TransactionsRefuse})
		help, _ := c.say(resp("CONFIG", "HELP"))
		if got := strings.Contains(help, "+SET\r\n"); got != allowed || !strings.Contains(help, "+GET\r\n") {
			t.Errorf("allow_admin %t: CONFIG HELP is %q", allowed, help)
		}
		for _, name := range []string{"config|set", "bgsave", "client|pause", "memory|purge"} {
			answer, _ := c.say(resp("COMMAND", "INFO", name))
			if got := answer != "*1\r\n$-1\r\n"; got != allowed {
				t.Errorf("allow_admin %t: COMMAND INFO %s is %q", allowed, name, answer)
			}
		}
	}
}
