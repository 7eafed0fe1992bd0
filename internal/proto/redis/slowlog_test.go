package redis

import (
	"strings"
	"testing"
	"time"

	"nuthatch/internal/latency"
	"nuthatch/internal/msg"
	"nuthatch/internal/slowlog"
	"nuthatch/internal/stats"
)

// slowPool is a protocol whose pool had two slow requests.
func slowPool(t *testing.T) (*conversation, *slowlog.Log) {
	log := slowlog.New(8)
	ms := time.Millisecond
	log.Add(&slowlog.Entry{
		Time: time.Unix(1000, 0), Duration: 12 * ms, Queue: 2 * ms, Server: 10 * ms,
		Command: "get", Key: "the:key", KeyLen: 10, ServerName: "s1", Client: "10.0.0.1:5", ClientName: "me",
	})
	log.Add(&slowlog.Entry{
		Time: time.Unix(1002, 0), Duration: 400 * ms, Server: 400 * ms,
		Command: "object|encoding", Keys: 3, ServerName: "s2", Client: "10.0.0.2:6", Error: "timed_out",
	})
	return converse(t, Options{SlowLog: log}), log
}

// The entries are what clients of Redis expect: six parts each, the time split in
// place of arguments.
func TestSlowlog(t *testing.T) {
	c, log := slowPool(t)
	first := "*6\r\n:0\r\n:1000\r\n:12000\r\n*7\r\n" + bulkOf("GET") + bulkOf("the:key... (3 more bytes)") + bulkOf("server=s1") +
		bulkOf("connect_usec=0") + bulkOf("queue_usec=2000") + bulkOf("server_usec=10000") + bulkOf("turn_usec=0") +
		bulkOf("10.0.0.1:5") + bulkOf("me")
	second := "*6\r\n:1\r\n:1002\r\n:400000\r\n*9\r\n" + bulkOf("OBJECT") + bulkOf("ENCODING") + bulkOf("... (3 keys)") + bulkOf("server=s2") +
		bulkOf("connect_usec=0") + bulkOf("queue_usec=0") + bulkOf("server_usec=400000") + bulkOf("turn_usec=0") + bulkOf("error=timed_out") +
		bulkOf("10.0.0.2:6") + bulkOf("")
	for _, e := range []exchange{
		{"SLOWLOG LEN", ":2\r\n"},
		{"SLOWLOG GET", "*2\r\n" + second + first},
		{"slowlog get -1", "*2\r\n" + second + first},
		{"SLOWLOG GET 1", "*1\r\n" + second},
		{"SLOWLOG GET 0", "*0\r\n"},
		{"SLOWLOG GET -2", "-ERR count should be greater than or equal to -1\r\n"},
		{"SLOWLOG GET x", "-ERR count should be greater than or equal to -1\r\n"},
		{"SLOWLOG GET 1 2", "-ERR wrong number of arguments for 'slowlog|get' command\r\n"},
		{"LATENCY LATEST", "*1\r\n*4\r\n" + bulkOf("command") + ":1002\r\n:400\r\n:400\r\n"},
		{"LATENCY HISTORY command", "*2\r\n*2\r\n:1000\r\n:12\r\n*2\r\n:1002\r\n:400\r\n"},
		{"LATENCY HISTORY fork", "*0\r\n"},
		{"LATENCY RESET fork", ":0\r\n"},
		{"LATENCY RESET", ":1\r\n"},
		{"LATENCY LATEST", "*0\r\n"},
		{"SLOWLOG LEN", ":2\r\n"},
		{"SLOWLOG RESET", "+OK\r\n"},
		{"SLOWLOG GET", "*0\r\n"},
	} {
		if got, _ := c.say([]byte(e.say + "\r\n")); got != e.want {
			t.Errorf("%s: got %q, want %q", e.say, got, e.want)
		}
	}
	if log.Len() != 0 {
		t.Errorf("%d entries are left", log.Len())
	}
}

// noParts is what is said of requests of which no part took time.
const noParts = "- connect: 0%\n- queue: 0%\n- server: 0%\n- turn: 0%\n"

func TestLatencyDoctor(t *testing.T) {
	c, log := slowPool(t)
	text, _ := c.say([]byte("LATENCY DOCTOR\r\n"))
	for _, want := range []string{"2 slow requests, 412ms in all", "- server: 99%", remedies["server"]} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
	log.Reset()
	if text, _ := c.say([]byte("LATENCY DOCTOR\r\n")); !strings.Contains(text, "No request was slow") {
		t.Errorf("of an empty log: %q", text)
	}
	for _, tt := range []struct {
		name string
		add  slowlog.Entry
		want string
	}{
		{"one that the proxy answered", slowlog.Entry{Time: time.Unix(1003, 0), Duration: 20 * time.Microsecond}, "1 slow request, 0s in all:\n" + noParts +
			"1 of them went to no server: the proxy answered them itself.\n"},
		{"two", slowlog.Entry{Time: time.Unix(1003, 0)}, "2 slow requests, 0s in all:\n" + noParts +
			"2 of them went to no server: the proxy answered them itself.\n"},
		{"and one of a server", slowlog.Entry{Time: time.Unix(1004, 0), ServerName: "s1"}, "3 slow requests, 0s in all:\n" + noParts +
			"2 of them went to no server: the proxy answered them itself.\n1 of them went to s1, more than to any other server.\n"},
	} {
		log.Add(&tt.add)
		if text, _ := c.say([]byte("LATENCY DOCTOR\r\n")); text != bulkOf(tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, text, tt.want)
		}
	}
}

// someFacts are what a process might know.
func someFacts() *Facts {
	get, set := new(latency.Histogram), new(latency.Histogram)
	get.Add(1_500_000, 3)
	get.Add(100_000, 1)
	set.Add(50_000, 2)
	p := &stats.PoolSnapshot{Name: "alpha", Servers: []stats.ServerSnapshot{{Name: "s1"}, {Name: "127.0.0.1:6380"}}}
	p.Values[stats.ClientRequests], p.Values[stats.ClientConnections], p.Values[stats.ClientEOF] = 6, 2, 5
	p.Vectors[stats.FailedRequests][msg.Timedout] = 4
	p.Servers[1].Values[stats.RequestBytes] = 99
	return &Facts{
		PID: 77, Threads: 3, Port: 22121, ConfigFile: "/etc/n.yml", Uptime: 49 * time.Hour,
		Resident: 3 << 20, MaxMemory: 1 << 30, CPUUser: 1.5, MaxClients: 100,
		Pool: p, Commands: []CommandTimes{{Name: "set", Histogram: set}, {Name: "get", Histogram: get, Rejected: 1, Failed: 2}}, States: []string{"up", "ejected"},
		ErrorReplies: map[string]int64{"OOM": 794, "ERR": 2},
	}
}

// TestBlockedClients: INFO counts the requests that wait at the servers.
func TestBlockedClients(t *testing.T) {
	f := someFacts()
	f.Pool.Servers[0].Values[stats.PrivateWaiting], f.Pool.Servers[1].Values[stats.PrivateWaiting] = 1, 2
	if got := reported(t, Options{Facts: known(f)}, "INFO clients"); !strings.Contains(got, "\r\nblocked_clients:3\r\n") {
		t.Errorf("%q", got)
	}
}

// TestInfoOfRings: INFO has the counters of the event loops' rings where there are rings.
func TestInfoOfRings(t *testing.T) {
	f := someFacts()
	if got := reported(t, Options{Facts: known(f)}, "INFO stats"); strings.Contains(got, "ring_") {
		t.Errorf("without rings: %q", got)
	}
	f.Loops[stats.RingEnters], f.Loops[stats.RingCompletions], f.Loops[stats.RingBytes] = 7, 9, 1<<20
	got := reported(t, Options{Facts: known(f)}, "INFO stats")
	for _, line := range []string{
		"nuthatch_ring_enters:7", "nuthatch_ring_submissions:0", "nuthatch_ring_completions:9", "nuthatch_ring_overflows:0", "nuthatch_ring_bytes:1048576",
	} {
		if !strings.Contains(got, "\r\n"+line+"\r\n") {
			t.Errorf("no line %q in %q", line, got)
		}
	}
}

// reported is the reply to a request that is answered outside the loop.
func reported(t *testing.T, o Options, text string) string {
	t.Helper()
	p := New(o)
	req := parseOne(t, p, text)
	if req.Treatment != msg.Report {
		t.Fatalf("%s is treated as %d", text, req.Treatment)
	}
	answer, ok := p.Report(req, &msg.Session{Authenticated: true, Lane: msg.DefaultLane})
	if !ok {
		t.Fatalf("%s: nobody knows", text)
	}
	var reply []byte
	answer(func(b []byte) { reply = b })
	return string(reply)
}

// known are facts for Options.
func known(f *Facts) func(bool, func(*Facts)) {
	return func(_ bool, use func(*Facts)) { use(f) }
}

func TestInfo(t *testing.T) {
	o := Options{Version: "1.2.3", Facts: known(someFacts()), Learned: new(Learned)}
	o.Learned.SetSurvey(NewSurvey([]*Said{interviewed(t, "+OK\r\n", redisInfo, settingsOf("maxmemory", "7"))}, 0))
	usual := reported(t, o, "INFO")
	for _, line := range []string{
		"# Server", "redis_version:7.0.15", "nuthatch_version:1.2.3", "process_id:77", "uptime_in_days:2", "threads:3", "config_file:/etc/n.yml",
		"connected_clients:2", "maxclients:100", "nuthatch_used_memory_rss_human:3.00M", "nuthatch_max_memory_human:1.00G", "loading:0",
		"used_memory:1048576\r\nused_memory_human:1.00M", "keyspace_hits:5", "db0:keys=3,expires=1,avg_ttl=100",
		"total_connections_received:7", "total_commands_processed:6", "total_net_input_bytes:99", "client_eof:5", "slow_requests:0",
		"role:master", "used_cpu_user:1.500000", "errorstat_timed_out:count=4",
		"errorstat_OOM:count=794", "errorstat_ERR:count=2", "total_error_replies:796", "cluster_enabled:0",
	} {
		if !strings.Contains(usual, line+"\r\n") {
			t.Errorf("INFO has no line %q", line)
		}
	}
	if want := "server1:name=127.0.0.1:6380,state=ejected,server_eof=0,"; !strings.Contains(usual, want) || !strings.Contains(usual, "request_bytes=99") {
		t.Errorf("INFO has no %q", want)
	}
	if strings.Contains(usual, "cmdstat_") || strings.Contains(usual, "latency_percentiles") {
		t.Error("INFO tells commands without being asked")
	}
	if got, want := reported(t, o, "INFO commandstats"),
		bulkOf("# Commandstats\r\ncmdstat_set:calls=2,usec=100,usec_per_call=50.00,rejected_calls=0,failed_calls=0\r\n"+
			"cmdstat_get:calls=3,usec=4600,usec_per_call=1150.00,rejected_calls=1,failed_calls=2\r\n"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	o.Learned.SetSurvey(NewSurvey([]*Said{interviewed(t, "+OK\r\n", bulkOf("master_repl_offset:7\r\n"), settingsOf())}, 0))
	for servers, want := range map[int]string{1: "role:master\r\nmaster_repl_offset:7\r\n", 2: "role:master\r\n"} {
		o.Servers = servers
		if got := reported(t, o, "INFO replication"); got != bulkOf("# Replication\r\n"+want) {
			t.Errorf("INFO replication of %d servers is %q", servers, got)
		}
	}
	all := reported(t, o, "INFO everything")
	if !strings.Contains(all, "latency_percentiles_usec_get:p50=1499.") || !strings.Contains(all, "# Server") {
		t.Errorf("INFO everything is %q", all)
	}
	if got := reported(t, Options{Facts: known(nil)}, "INFO clients"); got != bulkOf("# Clients\r\n") {
		t.Errorf("of a proxy that ends: %q", got)
	}
}

func TestLatencyHistogram(t *testing.T) {
	get := bulkOf("get") + "*4\r\n" + bulkOf("calls") + ":4\r\n" + bulkOf("histogram_usec") + "*4\r\n:128\r\n:1\r\n:2048\r\n:4\r\n"
	set := bulkOf("set") + "*4\r\n" + bulkOf("calls") + ":2\r\n" + bulkOf("histogram_usec") + "*2\r\n:64\r\n:2\r\n"
	for text, want := range map[string]string{
		"LATENCY HISTOGRAM":             "*4\r\n" + get + set,
		"LATENCY HISTOGRAM SET nothing": "*2\r\n" + set,
		"latency histogram nothing":     "*0\r\n",
	} {
		if got := reported(t, Options{Facts: known(someFacts())}, text); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}
