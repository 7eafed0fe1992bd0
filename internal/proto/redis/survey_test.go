package redis

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/testkit"
)

// A hearing is a connection to a server that says the same whatever it is asked.
type hearing struct {
	io.Reader
	asked bytes.Buffer
}

func (h *hearing) Write(b []byte) (int, error) { return h.asked.Write(b) }

// interviewed is what a server says whose answers are these.
func interviewed(t *testing.T, answers ...string) *Said {
	t.Helper()
	said, err := Interview(&hearing{Reader: strings.NewReader(strings.Join(answers, ""))}, config.Login{})
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// asRedis7 is what is learnt of a Redis 7 that nobody has configured.
func asRedis7() *Learned {
	said, err := Interview(&hearing{Reader: strings.NewReader(helloOf("redis", "7.0.15") + bulkOf("redis_version:7.0.15\r\nconnected_slaves:0\r\n") +
		settingsOf("maxmemory", "0", "maxmemory-policy", "noeviction", "save", ""))}, config.Login{})
	if err != nil {
		panic(err)
	}
	l := new(Learned)
	l.SetSurvey(NewSurvey([]*Said{said}, 0))
	return l
}

// interviewServer interviews a server that runs.
func interviewServer(t *testing.T, addr string, auth config.Secret) *Said {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, testkit.Patience)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	said, err := Interview(conn, config.Login{Password: auth})
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// TestInterviewOfRedis: redis-server is understood, with a password and without.
func TestInterviewOfRedis(t *testing.T) {
	for _, auth := range []config.Secret{"", "sesame"} {
		server := testkit.StartRedis(t, "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lfu", "--requirepass", auth.Reveal())
		said := interviewServer(t, server.Addr(), auth)
		if said.name != "redis" || said.version != said.info["redis_version"] || said.settings["maxmemory"] != "52428800" ||
			said.settings["maxmemory-policy"] != "allkeys-lfu" || len(said.settings) < 60 || len(said.info) < 50 {
			t.Errorf("password %q: %d settings, %d fields: %+v", auth.Reveal(), len(said.settings), len(said.info), said)
		}
	}
}

const noCommand = "-ERR unknown command\r\n"

var redisInfo = bulkOf("# Server\r\nredis_version:7.0.15\r\nos:Linux\r\nrun_id:aaaa\r\n\r\n# Memory\r\nused_memory:1048576\r\nmaxmemory:0\r\n" +
	"maxmemory_policy:noeviction\r\nmem_fragmentation_ratio:1.50\r\n# Persistence\r\nloading:0\r\n# Stats\r\nkeyspace_hits:5\r\n" +
	"instantaneous_input_kbps:0.25\r\nunheard_of:1\r\n# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=100\r\ndb2:keys=1,expires=0,avg_ttl=0\r\n")

// settingsOf is a reply to CONFIG GET.
func settingsOf(words ...string) string {
	text := fmt.Sprintf("*%d\r\n", len(words))
	for _, w := range words {
		text += bulkOf(w)
	}
	return text
}

// helloOf is a reply to HELLO.
func helloOf(server, version string) string {
	return "*14\r\n" + bulkOf("server") + bulkOf(server) + bulkOf("version") + bulkOf(version) + bulkOf("proto") + ":2\r\n" +
		bulkOf("id") + ":3\r\n" + bulkOf("mode") + bulkOf("standalone") + bulkOf("role") + bulkOf("master") + bulkOf("modules") +
		"*1\r\n*8\r\n" + bulkOf("name") + bulkOf("m") + bulkOf("ver") + ":1\r\n" + bulkOf("path") + bulkOf("p") + bulkOf("args") + "*1\r\n" + bulkOf("a")
}

// TestInterview: a server is asked all at once, after the login, and what it says is
// read however it comes.
func TestInterview(t *testing.T) {
	answers := "+OK\r\n" + helloOf("redis", "7.0.15") + redisInfo + settingsOf("maxmemory", "100", "requirepass", "secret", "save", "")
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "in bytes": iotest.OneByteReader, "in halves": iotest.HalfReader,
	} {
		h := &hearing{Reader: wrap(strings.NewReader(answers))}
		said, err := Interview(h, config.Login{Password: "sesame"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, want := h.asked.String(), "*2\r\n$4\r\nAUTH\r\n$6\r\nsesame\r\n*1\r\n$5\r\nHELLO\r\n*1\r\n$4\r\nINFO\r\n*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$1\r\n*\r\n"; got != want {
			t.Errorf("%s: asks %q, want %q", name, got, want)
		}
		if said.name != "redis" || said.version != "7.0.15" || said.info["os"] != "Linux" || said.info["unheard_of"] != "" ||
			said.spaces[2] != (keyspace{keys: 1}) || !maps.Equal(said.settings, map[string]string{"maxmemory": "100", "save": ""}) {
			t.Errorf("%s: %+v", name, said)
		}
	}
}

// TestInterviewFails: what cannot be read, or is too much, is no answer.
func TestInterviewFails(t *testing.T) {
	for name, tt := range map[string]struct {
		answers string
		want    error
	}{
		"refused":            {strings.Repeat("-NOAUTH Authentication required.\r\n", 3), errSaysNought},
		"an end":             {noCommand, io.EOF},
		"half a bulk":        {noCommand + "$10\r\nabc", io.ErrUnexpectedEOF},
		"no protocol":        {"HTTP/1.1 400 Bad Request\r\n", errNoAnswer},
		"no number":          {"$x\r\n", errNoAnswer},
		"an empty line":      {"\r\n", errNoAnswer},
		"RESP3":              {"%1\r\n+a\r\n+b\r\n", errNoAnswer},
		"a huge bulk":        {"$9223372036854775807\r\n", errTooMuch},
		"a huge array":       {"*9223372036854775807\r\n" + strings.Repeat(":1\r\n", maxSaidElems+1), errTooMuch},
		"deep arrays":        {strings.Repeat("*1\r\n", 9), errNoAnswer},
		"more than is read":  {noCommand + bulkOf(strings.Repeat("x", maxSaid-100)) + bulkOf(strings.Repeat("x", 200)), errTooMuch},
		"nothing understood": {noCommand + bulkOf("") + settingsOf(), errSaysNought},
	} {
		if _, err := Interview(&hearing{Reader: strings.NewReader(tt.answers)}, config.Login{}); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// FuzzInterview: nothing that servers say does harm, whatever it is put together to.
func FuzzInterview(f *testing.F) {
	f.Add(helloOf("valkey", "8.1.0")+redisInfo+settingsOf("maxmemory", "1"), helloOf("redis", "7.2")+redisInfo+settingsOf("save", "x"))
	f.Add(noCommand+bulkOf("redis_version:\r\ndb1:keys=-1\r\nmaxmemory:9223372036854775808")+noCommand, "*-1\r\n$-1\r\n*2\r\n$-1\r\n*-1\r\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		var said []*Said
		for _, answers := range []string{a, b} {
			if s, err := Interview(&hearing{Reader: strings.NewReader(answers)}, config.Login{}); err == nil {
				said = append(said, s)
			}
		}
		l := new(Learned)
		l.SetSurvey(NewSurvey(said, 0))
		for _, text := range []string{"INFO everything", "CONFIG GET *", "LOLWUT"} {
			reply := []byte(reported(t, Options{Facts: known(someFacts()), Learned: l, Databases: 16}, text))
			if v, ok := readReply(reply); !ok || v.first == '-' {
				t.Errorf("%s: %q", text, reply)
			}
		}
		c := converse(t, Options{Learned: l})
		if reply, _ := c.say([]byte("HELLO\r\n")); !strings.HasPrefix(reply, "*1") {
			t.Errorf("HELLO: %q", reply)
		}
	})
}

// TestSurvey: where servers differ clients are told what warns them.
func TestSurvey(t *testing.T) {
	a := interviewed(t, helloOf("redis", "7.2.4"),
		bulkOf("redis_version:7.2.4\r\nrun_id:aa\r\nos:Linux a\r\nused_memory:100\r\nused_memory_rss:300\r\nkeyspace_hits:3\r\nloading:1\r\nrdb_last_bgsave_status:ok\r\n"+
			"instantaneous_input_kbps:0.25\r\nmem_fragmentation_ratio:1.50\r\nconnected_slaves:2\r\ndb0:keys=3,expires=1,avg_ttl=100\r\ndb1:keys=1,expires=0,avg_ttl=0\r\n"),
		settingsOf("maxmemory", "0", "maxmemory-policy", "noeviction", "save", "3600 1", "appendonly", "yes", "appendfsync", "always",
			"hash-max-listpack-entries", "512", "notify-keyspace-events", "AKE", "proto-max-bulk-len", "1000", "list-compress-depth", "0"))
	b := interviewed(t, helloOf("redis", "7.0.15"),
		bulkOf("redis_version:7.0.15\r\nrun_id:bb\r\nos:Linux b\r\nused_memory:50\r\nkeyspace_hits:4\r\nloading:0\r\nrdb_last_bgsave_status:err\r\n"+
			"instantaneous_input_kbps:0.50\r\nmem_fragmentation_ratio:2.25\r\nconnected_slaves:0\r\ndb0:keys=5,expires=3,avg_ttl=500\r\n"),
		settingsOf("maxmemory", "300", "maxmemory-policy", "allkeys-lru", "save", "3600 1", "appendonly", "no", "appendfsync", "everysec",
			"hash-max-listpack-entries", "128", "notify-keyspace-events", "", "proto-max-bulk-len", "2000"))
	c := interviewed(t, noCommand, bulkOf("redis_version:6.2.10\r\nmaxmemory:200\r\nmaxmemory_policy:volatile-ttl\r\n"), noCommand)
	v := NewSurvey([]*Said{a, nil, b, c}, 0)
	if v.name != "redis" || v.version != "6.2.10" {
		t.Errorf("they are %s %s", v.name, v.version)
	}
	for name, want := range map[string]string{
		"redis_version": "6.2.10", "os": "Linux a", "used_memory": "150", "used_memory_rss": "300", "keyspace_hits": "7", "loading": "0",
		"rdb_last_bgsave_status": "err", "instantaneous_input_kbps": "0.75", "mem_fragmentation_ratio": "2.25", "connected_slaves": "0",
		"run_id": "d4d6d1d58c4ba8d4bdca8b4c4fd5a0ba4e5d1a2b", "keyspace_misses": "",
	} {
		got := v.info[name]
		if name == "run_id" {
			got, want = fmt.Sprint(len(got)), "40"
		}
		if got != want {
			t.Errorf("INFO: %s is %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"maxmemory": "300", "maxmemory-policy": "allkeys-lru", "save": "3600 1", "appendonly": "no", "appendfsync": "everysec",
		"hash-max-listpack-entries": "128", "notify-keyspace-events": "", "proto-max-bulk-len": "1000", "list-compress-depth": "0",
	} {
		if got := v.settings[name]; got != want {
			t.Errorf("CONFIG GET: %s is %q, want %q", name, got, want)
		}
	}
	if v.spaces[0] != (keyspace{keys: 8, expires: 4, avgTTL: 400}) || v.spaces[1] != (keyspace{keys: 1}) {
		t.Errorf("databases: %+v", v.spaces)
	}
}

// TestRole: a pool is a replica if all its servers are, and takes writes if one does.
// Where the master is stays untold.
func TestRole(t *testing.T) {
	master := interviewed(t, helloOf("redis", "7.0.15"), bulkOf("redis_version:7.0.15\r\nrole:master\r\nconnected_slaves:2\r\n"), noCommand)
	following := func(link string) *Said {
		return interviewed(t, helloOf("redis", "7.0.15"), bulkOf("redis_version:7.0.15\r\nrole:slave\r\nmaster_host:10.0.0.9\r\n"+
			"master_port:6379\r\nmaster_link_status:"+link+"\r\nslave_read_only:1\r\nconnected_slaves:0\r\n"), noCommand)
	}
	silent := interviewed(t, helloOf("redis", "7.0.15"), bulkOf("redis_version:7.0.15\r\n"), noCommand)
	const (
		asMaster  = "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
		asReplica = "*5\r\n$5\r\nslave\r\n$0\r\n\r\n:0\r\n$9\r\nconnected\r\n:0\r\n"
		alone     = "*5\r\n$5\r\nslave\r\n$0\r\n\r\n:0\r\n$7\r\nconnect\r\n:0\r\n"
	)
	for name, tt := range map[string]struct {
		said              []*Said
		hello, info, role string
	}{
		"nobody answers":        {nil, "master", "role:master\r\n", asMaster},
		"a master":              {[]*Said{master}, "master", "role:master\r\nconnected_slaves:2\r\n", asMaster},
		"a replica":             {[]*Said{following("up")}, "replica", "role:slave\r\nmaster_link_status:up\r\nslave_read_only:1\r\nconnected_slaves:0\r\n", asReplica},
		"replicas, one alone":   {[]*Said{following("up"), following("down")}, "replica", "role:slave\r\nmaster_link_status:down\r\nslave_read_only:1\r\nconnected_slaves:0\r\n", alone},
		"a replica among them":  {[]*Said{following("up"), master}, "master", "role:master\r\nconnected_slaves:0\r\n", asMaster},
		"one that does not say": {[]*Said{following("up"), silent}, "master", "role:master\r\nconnected_slaves:0\r\n", asMaster},
	} {
		o := Options{Facts: known(someFacts()), Learned: new(Learned), Servers: 2}
		o.Learned.SetSurvey(NewSurvey(tt.said, 0))
		if got, want := reported(t, o, "INFO replication"), bulkOf("# Replication\r\n"+tt.info); got != want {
			t.Errorf("%s: INFO: %q, want %q", name, got, want)
		}
		if got := reported(t, o, "ROLE"); got != tt.role {
			t.Errorf("%s: ROLE: %q, want %q", name, got, tt.role)
		}
		if got, _ := converse(t, o).say([]byte("HELLO\r\n")); !strings.Contains(got, bulkOf("role")+bulkOf(tt.hello)) {
			t.Errorf("%s: HELLO: %q, want the role %s", name, got, tt.hello)
		}
	}
}

// TestSurveyOfNobody: nothing is made up.
func TestSurveyOfNobody(t *testing.T) {
	o := Options{Version: "1.2.3", Facts: known(someFacts()), Learned: new(Learned)}
	o.Learned.SetSurvey(NewSurvey([]*Said{nil, nil}, 0))
	for _, absent := range []string{"redis_version", "maxmemory", "used_memory:", "loading", "keyspace_hits", "run_id"} {
		if text := reported(t, o, "INFO"); strings.Contains(text, "\n"+absent) {
			t.Errorf("INFO tells %s: %q", absent, text)
		}
	}
	if got := reported(t, o, "CONFIG GET maxmemory* appendonly save"); got != "*0\r\n" {
		t.Errorf("CONFIG GET: %q", got)
	}
	if got, want := reported(t, o, "LOLWUT"), bulkOf("nuthatch ver. 1.2.3\n"); got != want {
		t.Errorf("LOLWUT: %q, want %q", got, want)
	}
	if got, _ := converse(t, o).say([]byte("HELLO\r\n")); !strings.HasPrefix(got, "*12\r\n"+bulkOf("server")+bulkOf("redis")+bulkOf("proto")) {
		t.Errorf("HELLO: %q", got)
	}
}

// TestSurveyOfValkey: servers that are all Valkey are Valkey; among others they are
// the Redis that they claim to be.
func TestSurveyOfValkey(t *testing.T) {
	const text = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:%s\r\nvalkey_release_stage:ga\r\n"
	valkey := func(version string) *Said {
		return interviewed(t, helloOf("valkey", version), bulkOf(fmt.Sprintf(text, version)), noCommand)
	}
	quiet := interviewed(t, noCommand, bulkOf(fmt.Sprintf(text, "8.0.9")), noCommand)
	posing := interviewed(t, helloOf("redis", "7.2.4"), bulkOf(fmt.Sprintf(text, "8.1.1")), noCommand)
	redis := interviewed(t, helloOf("redis", "7.4.1"), bulkOf("redis_version:7.4.1\r\n"), noCommand)
	for name, tt := range map[string]struct {
		said                 []*Said
		server, version, own string
	}{
		"one":              {[]*Said{valkey("8.1.1")}, "valkey", "8.1.1", "8.1.1"},
		"two":              {[]*Said{valkey("8.1.10"), valkey("8.1.9")}, "valkey", "8.1.9", "8.1.9"},
		"without HELLO":    {[]*Said{valkey("8.1.1"), quiet}, "valkey", "8.0.9", "8.0.9"},
		"posing as Redis":  {[]*Said{posing}, "redis", "7.2.4", "8.1.1"},
		"beside Redis":     {[]*Said{valkey("8.1.1"), redis}, "redis", "7.2.4", ""},
		"beside no answer": {[]*Said{nil, valkey("9.0.0")}, "valkey", "9.0.0", "9.0.0"},
	} {
		v := NewSurvey(tt.said, 0)
		if v.name != tt.server || v.version != tt.version || v.info["valkey_version"] != tt.own {
			t.Errorf("%s: %s %s, valkey_version %q; want %+v", name, v.name, v.version, v.info["valkey_version"], tt)
		}
	}
	l := new(Learned)
	l.SetSurvey(NewSurvey([]*Said{valkey("8.1.1")}, 0))
	if got, want := reported(t, Options{Version: "1.2.3", Facts: known(nil), Learned: l}, "LOLWUT"), bulkOf("Valkey ver. 8.1.1, nuthatch ver. 1.2.3\n"); got != want {
		t.Errorf("LOLWUT: %q, want %q", got, want)
	}
}

// TestKeyspaceNumbers: databases have the numbers that they have for clients.
func TestKeyspaceNumbers(t *testing.T) {
	l := new(Learned)
	l.SetSurvey(NewSurvey([]*Said{interviewed(t, noCommand,
		bulkOf("db0:keys=1,expires=0,avg_ttl=0\r\ndb3:keys=2,expires=0,avg_ttl=0,subexpiry=1\r\ndb15:keys=4,expires=0,avg_ttl=0\r\nredis_version:1\r\n"), noCommand)}, 0))
	for _, tt := range []struct {
		db, databases int
		want          []string
	}{
		{0, 0, []string{"db0:keys=1,expires=0,avg_ttl=0"}},
		{3, 1, []string{"db0:keys=2,expires=0,avg_ttl=0,subexpiry=1"}},
		{5, 0, nil},
		{3, 16, []string{"db0:keys=1,expires=0,avg_ttl=0", "db3:keys=2,expires=0,avg_ttl=0,subexpiry=1", "db15:keys=4,expires=0,avg_ttl=0"}},
		{0, 4, []string{"db0:keys=1,expires=0,avg_ttl=0", "db3:keys=2,expires=0,avg_ttl=0,subexpiry=1"}},
	} {
		text := strings.Join(append([]string{"# Keyspace"}, tt.want...), "\r\n") + "\r\n"
		if got := reported(t, Options{DB: tt.db, Databases: tt.databases, Facts: known(nil), Learned: l}, "INFO keyspace"); got != bulkOf(text) {
			t.Errorf("redis_db %d, databases %d: %q, want %q", tt.db, tt.databases, got, text)
		}
	}
}

// TestConfigGet: settings that the proxy decides are its own, and no secret is told.
func TestConfigGet(t *testing.T) {
	f := someFacts()
	f.IdleTimeout, f.SlowerThan, f.SlowLogLen = 90e9, 5e6, 64
	l := new(Learned)
	l.SetSurvey(NewSurvey([]*Said{interviewed(t, noCommand, noCommand, settingsOf("timeout", "7", "databases", "99", "maxclients", "1", "requirepass", "x",
		"masterauth", "x", "slowlog-log-slower-than", "1", "proto-max-bulk-len", "536870912", "maxmemory-policy", "volatile-lru", "dir", "/d"))}, 0))
	o := Options{Facts: known(f), Learned: l, MaxRequestSize: 1 << 20, Databases: 4}
	for text, want := range map[string]string{
		"CONFIG GET timeout maxclients":                                settingsOf("maxclients", "100", "timeout", "90"),
		"CONFIG GET DATABASES":                                         settingsOf("databases", "4"),
		"CONFIG GET slowlog-* latency-monitor-threshold":               settingsOf("latency-monitor-threshold", "5", "slowlog-log-slower-than", "5000", "slowlog-max-len", "64"),
		"CONFIG GET maxmemory-policy maxmemory-polic?":                 settingsOf("maxmemory-policy", "volatile-lru"),
		"CONFIG GET proto-max-bulk-len":                                settingsOf("proto-max-bulk-len", "1048576"),
		"CONFIG GET requirepass masterauth dir port *pass* nothing [x": settingsOf(),
	} {
		if got := reported(t, o, text); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	f.SlowLogLen = 0
	if got, want := reported(t, o, "CONFIG GET slowlog-log* latency-mon*"), settingsOf("latency-monitor-threshold", "0", "slowlog-log-slower-than", "-1"); got != want {
		t.Errorf("with the slow log off: %q, want %q", got, want)
	}
}

// TestHelloAsksFirst: HELLO waits until the servers have been asked, once, and has
// them asked anew when the answer is old.
func TestHelloAsksFirst(t *testing.T) {
	asked, refreshed := 0, 0
	l := new(Learned)
	o := Options{
		Learned: l,
		Facts: func(servers bool, use func(*Facts)) {
			asked++
			if !servers {
				t.Error("the servers are not asked")
			}
			l.SetSurvey(NewSurvey([]*Said{interviewed(t, helloOf("redis", "6.0.1"), noCommand, noCommand)}, 0))
			use(nil)
		},
		Refresh: func() bool { refreshed++; return true },
	}
	p := New(o)
	s := &msg.Session{Authenticated: true, Lane: msg.DefaultLane}
	req := parseOne(t, p, "HELLO 2")
	if req.Treatment != msg.Learn {
		t.Fatalf("HELLO's treatment is %d", req.Treatment)
	}
	if topic, _ := p.Ask(req, s, nil, nil); topic != aboutServers {
		t.Fatalf("it asks about %q", topic)
	}
	replied := 0
	find, ok := p.Report(req, s)
	if !ok {
		t.Fatal("nobody finds it out")
	}
	find(func([]byte) { replied++ })
	if asked != 1 || replied != 1 {
		t.Errorf("asked %d times, %d replies", asked, replied)
	}
	for range 3 {
		if req := parseOne(t, p, "HELLO 2"); req.Treatment != msg.Local {
			t.Fatalf("HELLO's treatment is then %d", req.Treatment)
		}
		if _, release := p.identity(identityAge); release != "6.0.1" || refreshed != 0 {
			t.Errorf("release %q, asked anew %d times", release, refreshed)
		}
	}
	for range 3 {
		if _, release := p.identity(identityAge + 1); release != "6.0.1" || refreshed != 1 {
			t.Errorf("release %q, asked anew %d times", release, refreshed)
		}
	}
}

func TestCompareVersions(t *testing.T) {
	ordered := []string{"", "2.8.13", "6.2.10", "6.10.2", "7.0.9", "7.0.15", "7.2", "7.2.0", "255.255.255", "99999999999999999999.1"}
	if !slices.IsSortedFunc(ordered, compareVersions) {
		t.Errorf("%q", ordered)
	}
}

func TestMerges(t *testing.T) {
	large := fmt.Sprint(math.MaxInt64)
	for name, tt := range map[string]struct {
		merge  merge
		values []string
		want   string
		ok     bool
	}{
		"too large a sum": {sum, []string{large, "5"}, large, true}, "a negative count": {sum, []string{"-7", "5"}, "5", true},
		"no count": {sum, []string{"x"}, "0", false}, "no number": {least, []string{"x"}, "", false}, "the least": {least, []string{"3", "x", "-1"}, "-1", true},
		"the most": {most, []string{"3", "9"}, "9", true}, "no bound": {tightest, []string{"0", "0"}, "0", true},
		"a bound": {tightest, []string{"0", "9", "8"}, "8", true}, "infinite": {sumOfDecimals, []string{"inf", "NaN", "1.5"}, "1.50", true},
		"no and yes": {cautious, []string{"yes", "no"}, "no", true}, "two words": {cautious, []string{"a", "b"}, "", false},
		"numbers": {cautious, []string{"12", "7"}, "7", true}, "alike": {cautious, []string{"a", "a"}, "a", true},
		"fsync": {weaker("no", "everysec", "always"), []string{"always", "no"}, "no", true},
	} {
		if got, ok := tt.merge(tt.values); ok != tt.ok || ok && got != tt.want {
			t.Errorf("%s: %q, %v, want %q", name, got, ok, tt.want)
		}
	}
}
