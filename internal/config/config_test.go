package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"nuthatch/internal/hashkit"
)

// mustHash and mustDistribution look names up in hashkit.
func mustHash(t *testing.T, name string) hashkit.Hash {
	t.Helper()
	h, ok := hashkit.ParseHash(name)
	if !ok {
		t.Fatalf("hashkit knows no hash %q", name)
	}
	return h
}

func mustDistribution(t *testing.T, name string) hashkit.Distribution {
	t.Helper()
	d, ok := hashkit.ParseDistribution(name)
	if !ok {
		t.Fatalf("hashkit knows no distribution %q", name)
	}
	return d
}

// everyEmulateKey is the block "emulate" of that file.
func everyEmulateKey() Emulate {
	at := Address{Network: NetworkTCP, Host: "10.0.0.1", Port: 6379}
	return Emulate{
		Cluster: true, Announce: at, Peers: []Address{at, {Network: NetworkTCP, Host: "proxies.example", Port: 6379}},
		SentinelListen: Address{Network: NetworkTCP, Host: "10.0.0.1", Port: 26379}, SentinelName: "mymaster",
	}
}

// TestEveryKey reads a file with every key, each away from its default.
func TestEveryKey(t *testing.T) {
	cfg, err := Load("testdata/good-every-key.yml")
	if err != nil {
		t.Fatal(err)
	}
	cache := Server{
		Address: Address{Network: NetworkTCP, Host: "cache.example", Port: 11211},
		Weight:  1, Text: "cache.example:11211:1",
	}
	first, second := DefaultPool(), DefaultPool()
	first.Name = "z"
	first.Listen = Address{Network: NetworkTCP, Host: "::1", Port: 22123}
	first.Servers = []Server{cache}
	first.MaxRequestSize = memcachedMaxRequest
	second.Name = "alpha"
	second.Listen = Address{Network: NetworkUnix, Path: "/run/alpha.sock", Mode: 0o660}
	second.Servers = []Server{cache}
	second.MaxRequestSize = memcachedMaxRequest
	third := beta(t)
	third.Cluster, third.ClientLoginTimeout = first.Cluster, 20*time.Second
	third.Limits = Limits{Requests: 10000, RequestBurst: 500, Bytes: 50 << 20, ByteBurst: 1 << 20, InFlight: 5000, MaxWait: 250 * time.Millisecond}
	fourth, fifth := DefaultPool(), DefaultPool()
	fourth.Name, fourth.Protocol, fourth.Servers = "delta", Redis, []Server{cache}
	fourth.UserLimits = []UserLimit{{Name: "alice", Clients: 5, Limits: Limits{
		Requests: 1000, RequestBurst: 50, Bytes: 5 << 20, ByteBurst: 1 << 20, InFlight: 500, MaxWait: 25 * time.Millisecond,
	}, ReadOnly: true, Databases: "0,3,12"}}
	fourth.Listen = Address{Network: NetworkTCP, Host: "127.0.0.1", Port: 22124}
	fourth.RedisAuthFrom.Env, fourth.RedisAuthPreviousFrom.File, fourth.ServerPasswordFrom.Env = "NUTHATCH_AUTH", "/run/secrets/previous", "NUTHATCH_SERVER"
	fourth.Users = []User{
		{Name: "alice", Rules: "on ~cache:* +@read", Password: "pa55: *#"},
		{Name: "bob", Rules: "on allkeys +@all", PasswordFrom: SecretSource{File: "/run/secrets/bob"}},
		{Name: "carol", Rules: "off", PasswordFrom: SecretSource{Env: "NUTHATCH_CAROL"}},
	}
	fifth.TLS.CertFiles, fifth.TLS.ClientCA = CertFiles{Cert: "/etc/nuthatch/proxy.crt", Key: "/etc/nuthatch/proxy.key"}, "/etc/nuthatch/clients"
	fifth.TLS.ClientCert, fifth.TLS.UserFrom = ClientCertOptional, UserFromSAN
	fifth.ACLFile = "/etc/nuthatch/users.acl"
	fourth.Sentinel.PasswordFrom.File, fifth.Sentinel.Password = "/run/secrets/sentinel", "f0urth: *#"
	fifth.Name, fifth.Protocol, fifth.Servers = "gamma", Redis, []Server{cache}
	fifth.Listen = Address{Network: NetworkTCP, Host: "127.0.0.1", Port: 22125}
	fifth.RedisAuthFrom.File, fifth.RedisAuthPrevious, fifth.ServerPassword = "/run/secrets/auth", "0ther: *#", "th1rd: *#"
	sixth := DefaultPool()
	sixth.Name, sixth.Protocol, sixth.Servers, sixth.HashTag = "epsilon", Redis, []Server{cache}, "{}"
	sixth.Listen = Address{Network: NetworkTCP, Host: "127.0.0.1", Port: 22127}
	sixth.Cluster, sixth.Emulate = Cluster{On: true, Refresh: 10 * time.Second, MaxRedirects: 3}, everyEmulateKey()
	want := &Config{
		File: "testdata/good-every-key.yml",
		Process: Process{
			Threads: 3, Engine: EngineEpoll, Zone: "eu-1a", Watch: true, DrainTimeout: 90 * time.Second, DrainDelay: 500 * time.Millisecond, ResolveInterval: 30 * time.Second,
			Tracing: everyTracing(), LogFormat: LogJSON, HistoryMemory: 3 << 20, SlowlogSlowerThan: 20 * time.Millisecond, SlowlogMaxLen: 1000, SlowlogKeys: true, TurnTimes: true,
			TLSHandshakes: 100, TLSHandshakeTimeout: 5 * time.Second, MaxMemory: 2 << 30,
			TLSTicketKeysFile: "/run/secrets/tickets", CoreDumps: true, AdminTokenEnv: "NUTHATCH_TOKEN", AdminReadToken: "re@d: *#", AdminReadTokenFile: "/run/secrets/read", AdminReadTokenEnv: "NUTHATCH_READ_TOKEN",
			AdminTLS: TLS{
				CertFiles: CertFiles{"/etc/nuthatch/admin.crt", "/etc/nuthatch/admin.key", "/etc/nuthatch/admin.password", ""},
				ClientCA:  "/etc/nuthatch/operators", ClientCert: ClientCertOptional, MinVersion: TLS13,
			},
			Admin: Address{Network: NetworkTCP, Host: "10.0.0.1", Port: 9100}, AdminWritten: true,
			AdminSocket: Address{Network: NetworkUnix, Path: "/run/nuthatch/actions.sock", Mode: 0o660}, AdminToken: "t0ken: *#", AdminTokenFile: "/run/secrets/admin", AdminInsecure: true, AdminPprof: true, ReadyServers: 50,
		},
		Pools:    []Pool{first, third, second, fourth, fifth, sixth},
		Warnings: cfg.Warnings, sources: cfg.sources,
	}
	readLike(want)
	unverified := aboutVerify(cfg.Warnings)
	if len(unverified) != 2 || unverified[0].Key != "server_tls.verify" || unverified[1].Key != "sentinel_tls.verify" {
		t.Errorf("warnings %v, want one of servers that anybody may pose as, and one of sentinels", cfg.Warnings)
	}
	for i := range cfg.Pools {
		for j := range cfg.Pools[i].Users {
			u := &cfg.Pools[i].Users[j]
			if u.Line == 0 {
				t.Errorf("the user %s stands nowhere", u.Name)
			}
			u.Line = 0
		}
	}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("Load:\n%+v\nwant:\n%+v", cfg, want)
	}
}

// everyTracing is the tracing of testdata/good-every-key.yml.
func everyTracing() Tracing {
	return Tracing{
		Endpoint: "http://127.0.0.1:4318", Protocol: TracesJSON, Sample: 77, Keys: true, Headers: "X-Scope=a%20b",
		HeadersFrom: SecretSource{File: "/run/secrets/collector", Env: "NUTHATCH_COLLECTOR"},
	}
}

// readLike sets how the pools of testdata/good-every-key.yml read.
func readLike(c *Config) {
	for i := range c.Pools {
		p := &c.Pools[i]
		switch p.Reads = DefaultPool().Reads; p.Name {
		case "beta":
			p.Reads.Policy = ReadNearest
			p.Replicas = []ReplicaList{{"server2", "10.0.0.2:6379, /run/replica.sock"}, {"server1", "10.0.0.3:6379"}}
		case "epsilon":
			p.Reads = Reads{Policy: ReadPreferReplica, OwnWrites: 3 * time.Second, MaxLag: 2 << 20, MaxSilence: 30 * time.Second}
			p.ServerZones = []ServerZone{{"10.0.0.0/8", "eu-1a"}, {"10.0.1.0/24", "eu-1b"}, {"2001:db8::7", "eu-1c"}}
		}
		p.Reads.Zone = c.Process.Zone
	}
}

// beta is the pool of testdata/good-every-key.yml that has every key.
func beta(t *testing.T) Pool {
	t.Helper()
	return Pool{
		Name:              "beta",
		Listen:            Address{Network: NetworkTCP, Host: "127.0.0.1", Port: 22122},
		Hash:              mustHash(t, "one_at_a_time"),
		HashTag:           "$$",
		Distribution:      mustDistribution(t, "modula"),
		Timeout:           400 * time.Millisecond,
		ConnectTimeout:    50 * time.Millisecond,
		RequestTimeout:    700 * time.Millisecond,
		ServerIdleTimeout: 4 * time.Minute,
		Backlog:           1024,
		ClientConnections: 1000,
		TCPKeepalive:      true,
		ReusePort:         true,
		Preconnect:        true,
		Protocol:          Redis,
		RedisAuth:         "s3cret: *#",
		ServerUser:        "proxy",
		RedisDB:           7,
		Databases:         8,
		UnknownCommands:   UnknownRefuse,
		FailedSelect:      FailedSelectIgnore,
		AllowMonitor:      true,
		ReadOnly:          true, AllowFlush: true,
		PartialResults:     PartialNulls,
		KeylessScripts:     KeylessAny,
		ServerConnections:  2,
		AutoEjectHosts:     true,
		ServerRetryTimeout: 2 * time.Second,
		ServerFailureLimit: 3,
		Eject:              EjectFail,
		HealthCheck:        HealthCheck{Interval: 2 * time.Second, Timeout: 500 * time.Millisecond, Rise: 4, Fall: 5},

		TLS: betaTLS(), AllowAdmin: true,
		ServerTLS:             betaServerTLS(),
		RedisAuthPreviousFrom: SecretSource{Env: "NUTHATCH_PREVIOUS"},
		ServerPasswordFrom:    SecretSource{File: "/run/secrets/server"},

		OnReadOnly: ReadOnlyResolve,
		Sentinel:   betaSentinel(),

		Retry:                RetryIdempotent,
		ServerMaxQueued:      4096,
		ServerMaxQueuedBytes: 16 << 20,
		ServerMaxReply:       32 << 20,
		ReconnectBackoff:     20 * time.Millisecond,
		ReconnectBackoffMax:  3 * time.Second,
		MaxRequestSize:       64 << 20,
		ClientMaxPipeline:    16,
		ClientMaxQueued:      256 << 10,
		AllowFrom:            "10.0.0.0/8, 2001:db8::/32",
		DenyFrom:             "10.0.0.66",
		ProxyProtocolFrom:    "10.0.0.7, unix",
		ProxyProtocolTimeout: 7 * time.Second,
		TCPKeepaliveIdle:     time.Minute,
		TCPKeepaliveInterval: 10 * time.Second,
		TCPKeepaliveCount:    3,
		MaxKeys:              1000,

		Transactions:           TransactionsRefuse,
		MaxServerUsers:         77,
		MaxTransactionCommands: 100,
		PrivateConnections:     50,
		PrivateIdleTimeout:     20 * time.Second,
		Tracking:               TrackingOff,
		MaxTrackedKeys:         500,
		PubSub:                 betaPubSub(),
		MaxTransactionSize:     64 << 10,

		ClientIdleTimeout:     10 * time.Minute,
		ClientOutputLimit:     32 << 20,
		ClientOutputSoftLimit: 8 << 20,
		ClientOutputSoftTime:  time.Minute,

		Servers: betaServers(),
	}
}

// betaPubSub is how it carries messages.
func betaPubSub() PubSub {
	return PubSub{
		Publish: PublishOwner, MaxSubscriptions: 100, OutputLimit: 16 << 20, OutputSoftLimit: 4 << 20, OutputSoftTime: 30 * time.Second,
		OnLoss: LossResubscribes, Ping: 5 * time.Second, Connections: ConnectionsShared,
	}
}

// betaServers are its servers.
func betaServers() []Server {
	redis := func(text, name string, weight int) Server {
		local := Address{Network: NetworkTCP, Host: "127.0.0.1", Port: 6379}
		return Server{Address: local, Weight: weight, Name: name, Text: text}
	}
	return []Server{ // shorter names first, then by bytes
		redis("127.0.0.1:6379:2", "server1", 2),
		redis("127.0.0.1:6379:1", "server2", 1),
		{Address: Address{Network: NetworkSentinel, Host: "main.primary"}, Weight: 3, Name: "server4", Text: "sentinel://main.primary:3"},
		redis("127.0.0.1:6379:10", "server10", 10),
	}
}

// betaSentinel is who knows the primaries of its servers.
func betaSentinel() Sentinel {
	return Sentinel{
		Addresses: []Address{{Network: NetworkTCP, Host: "10.0.0.1", Port: 26379}, {Network: NetworkTCP, Host: "sentinel.example", Port: 26379}},
		User:      "watcher", PasswordFrom: SecretSource{Env: "NUTHATCH_SENTINEL"},
		TLS: ServerTLS{
			CA:        "/etc/nuthatch/sentinels.crt",
			CertFiles: CertFiles{"/etc/nuthatch/client.crt", "/etc/nuthatch/client.key", "", "NUTHATCH_KEY"},
			Verify:    VerifyNone, ServerName: "sentinel.example",
		},
	}
}

// betaServerTLS is how its servers are connected to.
func betaServerTLS() ServerTLS {
	return ServerTLS{
		CA:        "/etc/nuthatch/servers.crt",
		CertFiles: CertFiles{"/etc/nuthatch/client.crt", "/etc/nuthatch/client.key", "/etc/nuthatch/client.password", ""},
		Verify:    VerifyNone, ServerName: "cache.example",
	}
}

// betaTLS is how its clients speak TLS.
func betaTLS() TLS {
	return TLS{
		Listen:    Address{Network: NetworkTCP, Host: "127.0.0.1", Port: 22126},
		AllowFrom: "10.0.0.0/8, 192.168.7.4", DenyFrom: NoNetworks, ProxyProtocolFrom: "10.0.0.8",
		CertFiles: CertFiles{"/etc/nuthatch/proxy.crt", "/etc/nuthatch/proxy.key", "/etc/nuthatch/proxy.password", ""},
		Certs: []CertFiles{
			{"/etc/nuthatch/other.crt", "/etc/nuthatch/other.key", "", "NUTHATCH_KEY"},
			{"/etc/nuthatch/third.crt", "/etc/nuthatch/third.key", "/etc/nuthatch/third.password", ""},
		},
		NameList: "beta.example, *.Beta.example", ClientCA: "/etc/nuthatch/clients", ClientCert: ClientCertRequired,
		MinVersion: TLS13, CipherNames: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
	}
}

// TestEveryKeyIsTested keeps TestEveryKey's promise as keys are added.
func TestEveryKeyIsTested(t *testing.T) {
	text := string(readTestFile(t, "testdata/good-every-key.yml"))
	for _, name := range append(keyNames(poolKeys), keyNames(processKeys)...) {
		if name == includeKey { // TestInclude
			continue
		}
		if !strings.Contains(text, "\n  "+name+":") {
			t.Errorf("testdata/good-every-key.yml has no key %q", name)
		}
	}
	for _, keys := range [][]description{describe(poolKeys), describe(processKeys)} {
		for i := range keys {
			checkWritten(t, text, keys[i].within)
		}
	}
}

// checkWritten looks for the keys of blocks in a file.
func checkWritten(t *testing.T, text string, keys []description) {
	t.Helper()
	for i := range keys {
		if !regexp.MustCompile(`\n {4,}(- )?` + keys[i].name + ":").MatchString(text) {
			t.Errorf("testdata/good-every-key.yml has no key %q", keys[i].name)
		}
		checkWritten(t, text, keys[i].within)
	}
}

// TestDefaults holds nutcracker's defaults, and nuthatch's own.
func TestDefaults(t *testing.T) {
	want := Pool{
		Hash:               mustHash(t, "fnv1a_64"),
		Distribution:       mustDistribution(t, "ketama"),
		Backlog:            512,
		Databases:          1,
		ServerConnections:  1,
		ServerRetryTimeout: 30 * time.Second,
		ServerFailureLimit: 2,
		HealthCheck:        HealthCheck{Timeout: time.Second, Rise: 2, Fall: 3},

		ProxyProtocolTimeout: 5 * time.Second,
		Limits:               Limits{MaxWait: time.Second},
		Cluster:              Cluster{Refresh: 30 * time.Second, MaxRedirects: 5},
		Reads:                Reads{OwnWrites: time.Second, MaxLag: 1 << 20, MaxSilence: 15 * time.Second},

		ServerMaxQueued:      1 << 20,
		ServerMaxQueuedBytes: 1 << 30,
		ServerMaxReply:       1 << 30,
		ReconnectBackoffMax:  2 * time.Second,
		AllowKeys:            true,
		MaxRequestSize:       512 << 20,
		ClientMaxPipeline:    1024,
		ClientMaxQueued:      1 << 20,

		MaxTransactionCommands: 16384,
		MaxServerUsers:         256,
		MaxTransactionSize:     4 << 20,
		PrivateConnections:     256,
		PrivateIdleTimeout:     10 * time.Second,
		MaxTrackedKeys:         1_000_000,
		PubSub:                 PubSub{MaxSubscriptions: 16384, OutputLimit: 32 << 20, OutputSoftLimit: 8 << 20, OutputSoftTime: time.Minute, Ping: 30 * time.Second},

		MaxKeys:               1 << 20,
		ClientOutputSoftLimit: 64 << 10,
		ClientOutputSoftTime:  5 * time.Minute,
	}
	if got := DefaultPool(); !reflect.DeepEqual(got, want) {
		t.Errorf("DefaultPool() = %+v, want %+v", got, want)
	}
	if n := DefaultProcess().Threads; n < 1 || n > 4 {
		t.Errorf("DefaultProcess().Threads = %d, want 1 to 4", n)
	}
}

func TestLoadUnreadable(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none.yml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of a missing file: %v, want fs.ErrNotExist", err)
	}
	if _, err := Load(dir); err == nil {
		t.Error("Load of a directory: no error")
	}
	big := filepath.Join(dir, "big.yml")
	writeFile(t, big, make([]byte, maxFileSize+1))
	if _, err := Load(big); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("Load of a file over the limit: %v, want an error about its size", err)
	}
}

// TestErrorsAs finds the single fault behind a list.
func TestErrorsAs(t *testing.T) {
	_, err := Parse("x.yml", []byte("alpha:\n  hash: md6\n"))
	var fault *Error
	if !errors.As(err, &fault) {
		t.Fatalf("errors.As found no *Error in %v", err)
	}
	if fault.File != "x.yml" || fault.Line != 1 || fault.Pool != "alpha" || fault.Key != "listen" {
		t.Errorf("first fault is %+v, want x.yml line 1, pool alpha, key listen", fault)
	}
}

// TestConfigKeepsNoText changes the text after Parse.
func TestConfigKeepsNoText(t *testing.T) {
	text := readTestFile(t, "testdata/good-every-key.yml")
	cfg, err := Parse("x.yml", text)
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprintf("%#v", cfg.Pools)
	clear(text)
	if after := fmt.Sprintf("%#v", cfg.Pools); after != before {
		t.Errorf("the configuration changed with the text:\n%s\nbefore:\n%s", after, before)
	}
}

// TestSecretIsNeverPrinted prints a whole configuration in every way there is.
func TestSecretIsNeverPrinted(t *testing.T) {
	const password = "open sesame"
	pool := DefaultPool()
	pool.RedisAuth = password
	cfg := &Config{Pools: []Pool{pool}}

	printed := make(map[string]string)
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		printed["pool "+verb] = fmt.Sprintf(verb, pool)
		printed["config "+verb] = fmt.Sprintf(verb, *cfg)
	}
	for _, verb := range []string{"%v", "%s", "%q", "%x", "%X", "%d", "%#v", "%10.3s"} {
		printed["secret "+verb] = fmt.Sprintf(verb, pool.RedisAuth)
	}
	asJSON, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	printed["json"], printed["yaml"] = string(asJSON), string(asYAML)
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("auth", "secret", pool.RedisAuth, "pool", pool)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("auth", "secret", pool.RedisAuth, "pool", pool)
	printed["slog"] = logged.String()

	for how, text := range printed {
		hexed := fmt.Sprintf("%x", password)
		if strings.Contains(text, "sesame") || strings.Contains(strings.ToLower(text), hexed) {
			t.Errorf("%s shows the password: %s", how, text)
		}
		if !strings.Contains(text, "redacted") {
			t.Errorf("%s says nothing of a password: %s", how, text)
		}
	}
}

func TestSecret(t *testing.T) {
	tests := []struct {
		secret Secret
		given  string
		equal  bool
	}{
		{"pw", "pw", true},
		{"pw", "pW", false},
		{"pw", "pww", false},
		{"pw", "p", false},
		{"pw", "", false},
		{"", "", false},
		{"", "pw", false},
	}
	for _, tt := range tests {
		if got := tt.secret.Equal([]byte(tt.given)); got != tt.equal {
			t.Errorf("Secret(%q).Equal(%q) = %v, want %v", tt.secret.Reveal(), tt.given, got, tt.equal)
		}
	}
	if got := Secret("").String(); got != "" {
		t.Errorf("an empty Secret prints %q, want nothing", got)
	}
}

func TestSuggest(t *testing.T) {
	names := append(keyNames(poolKeys), hashkit.HashNames()...)
	tests := []struct{ word, want string }{
		{"lisen", "listen"},
		{"lsiten", "listen"},
		{"LISTEN", "listen"},
		{"sever_connections", "server_connections"},
		{"fnv1a_46", "fnv1a_64"},
		{"hashtag", "hash_tag"},
		{"colour", ""},
		{"x", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := suggest(tt.word, names); got != tt.want {
			t.Errorf("suggest(%q) = %q, want %q", tt.word, got, tt.want)
		}
	}
}

// TestNearest: of values that are equally near none is preferred.
func TestNearest(t *testing.T) {
	for word, want := range map[string][]string{
		"fnv1a_46": {"fnv1a_64"}, "fnv1_a64": {"fnv1a_64"}, "FNV1a64": {"fnv1a_64"}, "fnva1_64": {"fnv1_64", "fnv1a_64"}, "colour": nil,
	} {
		if got := nearest(word, hashkit.HashNames()); !slices.Equal(got, want) {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"abc", "acb", 1},
		{"abc", "abcd", 1},
		{"abc", "xbc", 1},
		{"ca", "abc", 3}, // no letter is touched twice
		{"kitten", "sitting", 3},
	}
	for _, tt := range tests {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

// aboutVerify are the warnings of servers that anybody may pose as. A file with every key has
// others, too.
func aboutVerify(warnings Errors) Errors {
	var found Errors
	for _, w := range warnings {
		if strings.HasSuffix(w.Key, ".verify") {
			found = append(found, w)
		}
	}
	return found
}
