package config

import (
	"slices"
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	const ours = "nuthatch:\n  threads: 1\n"
	checkWarnings(t, []warned{
		{"nothing", "timeout: 400", "", nil},
		{"a limit that nutcracker ignored", "client_connections: 2", "", []string{"a.yml:4: pool 'a': client_connections: nutcracker ignores this key, nuthatch enforces it: the pool accepts at most 2"}},
		{"a large one of a file for nutcracker", "client_connections: 20000", "", []string{"at most 20000"}},
		{"a large one of a file of ours", "client_connections: 20000", ours, nil},
		{"a pool with a key of ours", "client_connections: 20000\n  max_keys: 5", "", nil},
		{"a small one of a file of ours", "client_connections: 2", ours, []string{"at most 2"}},
		{"no limit", "client_connections: 0", "", nil},
		{"a password", "redis: true\n  redis_auth: ${REDIS_PASSWORD}", "", []string{"a.yml:5: pool 'a': redis_auth: the value looks like a variable"}},
		{"a password with a dollar", "redis: true\n  redis_auth: $ecret", "", nil},
		{"a server", "listen: 127.0.0.1:2\n  servers: ['${HOST}:6380:1 one', '10.0.0.1:6380:1 two']", "", []string{"servers: '${HOST}:6380:1 one' looks like a variable"}},
		{"a template", "redis: true\n  redis_auth: '{{ password }}'", "", []string{"redis_auth"}},
		{"a shell's", "listen: $LISTEN:22121\n  servers: ['10.0.0.1:6380:1']", "", []string{"listen: '$LISTEN' looks"}},
		{"a command's", "servers: ['10.0.0.1:6380:1 $(hostname)']\n  listen: 127.0.0.1:2", "", []string{"servers: '10.0.0.1:6380:1 $(hostname)' looks"}},
		{"no replicas", "redis: true\n  read_policy: nearest", "", []string{"read_policy: the pool has no 'replicas': all reads go to its servers"}},
		{"no replicas, and nothing else", "redis: true\n  read_policy: replica", "", []string{"read_policy: the pool has no 'replicas': all reads fail"}},
		{"a hash tag", "hash_tag: '$a'", "", nil},
		{"braces", "hash_tag: '{}'", "", nil},
		{"the process's", "", "nuthatch:\n  admin_token_file: /run/${NAME}/token\n", []string{"nuthatch.admin_token_file: '/run/${NAME}/token' looks"}},
		{"the token", "", "nuthatch:\n  admin_token: ${TOKEN}\n", []string{"nuthatch.admin_token: the value looks"}},
		{"no timeout", "timeout: 0", "", []string{"a.yml:4: pool 'a': timeout: without it clients wait for ever"}},
		{"a late request", "request_timeout: 2s\n  redis: true", "", []string{"request_timeout: it is longer than timeout (400ms)"}},
		{"an early one", "request_timeout: 200ms", "", nil},
		{"keys without the one that they need", "eject: fail\n  tcpkeepalive_idle: 30s", "", []string{"eject: it does nothing without 'auto_eject_hosts: true'", "tcpkeepalive_idle: it does nothing without 'tcpkeepalive: true'"}},
		{"private connections need it", "redis: true\n  tcpkeepalive_idle: 30s\n  tcpkeepalive_interval: 5s\n  tcpkeepalive_count: 3", "", nil},
		{"with it", "eject: fail\n  auto_eject_hosts: true", "", nil},
		{"a late check", "timeout: 400\n  health_check: {interval: 1s, timeout: 2s}", "", []string{"health_check.timeout: it is longer than the interval, 1s"}},
		{"what a cluster ignores", "redis: true\n  cluster: true\n  transactions: per_server\n  pubsub: {publish: owner}", "", []string{"transactions: 'per_server' does nothing with 'cluster: true'", "pubsub.publish: it does nothing with 'cluster: true'"}},
		{"what it does not", "redis: true\n  cluster: true\n  transactions: refuse\n  pubsub: {on_loss: resubscribe}", "", nil},
		{
			"reads that no replica gets", "redis: true\n  read_own_writes: 2s\n  max_replica_lag: 2mb\n  max_replica_silence: 9s\n  server_zones: {10.0.0.0/8: x}", "nuthatch:\n  zone: x\n",
			[]string{
				"read_own_writes: it does nothing without 'read_policy: prefer_replica' or another than 'primary'", "max_replica_lag: it does nothing", "max_replica_silence: it does nothing",
				"server_zones: it does nothing without 'read_policy", "nuthatch.zone: it does nothing without a pool with 'read_policy",
			},
		},
		{"reads that primaries get", "redis: true\n  read_policy: primary\n  read_own_writes: 2s", "", []string{"read_own_writes: it does nothing"}},
		{"reads that replicas get", "redis: true\n  cluster: true\n  read_policy: nearest\n  read_own_writes: 2s\n  max_replica_lag: 2mb\n  server_zones: {10.0.0.0/8: x}", "nuthatch:\n  zone: x\n", nil},
		{"zones of servers alone", "redis: true\n  cluster: true\n  read_policy: nearest\n  server_zones: {10.0.0.0/8: x}", "", []string{"server_zones: it changes no read without 'zone'"}},
		{"READONLY of memcached", "on_readonly: resolve", "", []string{"on_readonly: it does nothing without 'redis: true': the pool speaks Memcached's protocol"}},
		{
			"what only Redis has", "redis_db: 3\n  databases: 5\n  pubsub: {publish: all}\n  tracking: off\n  max_tracked_keys: 9", "",
			[]string{"redis_db: it does nothing without 'redis: true'", "databases: it does", "pubsub: it does", "tracking: it does", "max_tracked_keys: it does"},
		},
		{"defaults of pools of Redis", "max_keys: 4", "nuthatch:\n  pool_defaults: {redis_db: 3}\n", nil},
		{"ejection that is off", "server_retry_timeout: 5s\n  server_failure_limit: 3", "", []string{"server_retry_timeout: it does nothing without 'auto_eject_hosts: true'", "server_failure_limit: no server is ejected without 'auto_eject_hosts: true'"}},
		{"ejection", "auto_eject_hosts: true\n  server_retry_timeout: 5s\n  server_failure_limit: 3", "", nil},
		{"a bound of no pause", "reconnect_backoff_max: 5s", "", []string{"reconnect_backoff_max: it does nothing without 'reconnect_backoff'"}},
		{
			"what is off", "redis: true\n  private_connections: 0\n  private_idle_timeout: 5s\n  tracking: off\n  max_tracked_keys: 5\n  transactions: refuse\n  max_transaction_size: 1mb", "",
			[]string{"private_idle_timeout: it does nothing with 'private_connections: 0'", "max_tracked_keys: it does nothing with 'tracking: off'", "max_transaction_size: it does nothing with 'transactions: refuse'"},
		},
		{"no soft limits", "redis: true\n  client_output_soft_limit: 0\n  client_output_soft_time: 5s\n  pubsub: {output_soft_limit: 0, output_soft_time: 5s}", "", []string{"client_output_soft_time: it does nothing", "pubsub.output_soft_time: it does nothing"}},
		{"no slow log", "", "nuthatch:\n  slowlog_max_len: 0\n  slowlog_keys: true\n", []string{"nuthatch.slowlog_keys: it does nothing with 'slowlog_max_len: 0'"}},
		{"no admin listener", "", "nuthatch:\n  admin: off\n  admin_pprof: true\n", []string{"nuthatch.admin_pprof: it does nothing with 'admin: off'"}},
		{
			"clients of a cluster and of Sentinel", "listen: 127.0.0.1:3\n  servers: ['10.0.0.1:6380:1']\n  redis: true\n  hash_tag: '{}'\n  emulate: {cluster: true, sentinel_listen: '127.0.0.1:26379', peers: ['127.0.0.1:1', '127.0.0.1:2']}", "",
			[]string{"emulate.sentinel_listen: when the proxy drains, its clients get MOVED"},
		},
		{"READONLY of a cluster", "redis: true\n  cluster: true\n  on_readonly: resolve", "", []string{"on_readonly: it does nothing with 'cluster: true'"}},
		{"READONLY", "redis: true\n  on_readonly: resolve", "", nil},
		{"a login to no sentinel", "redis: true\n  sentinel_user: u\n  sentinel_password: p\n  sentinel_tls: {ca: system}", "", []string{"sentinel_password: it does nothing without 'sentinels'", "sentinel_tls: it does nothing without 'sentinels'"}},
		{"an address for nobody", "redis: true\n  emulate: {announce: '10.0.0.1:6379'}", "", []string{"emulate.announce: it does nothing without 'cluster: true' or 'sentinel_listen'"}},
		{"the other's port", "listen: 127.0.0.1:2\n  redis: false\n  servers: ['10.0.0.1:6379:1']", "", []string{"servers: port 6379 is Redis's"}},
		{"Redis at Memcached's", "listen: 127.0.0.1:2\n  servers: ['10.0.0.1:11211:1']\n  redis: true", "", []string{"servers: port 11211 is Memcached's"}},
		{"few hashes", "listen: 127.0.0.1:2\n  hash: crc32\n  servers: ['10.0.0.1:6380:1', '10.0.0.2:6380:1']", "", []string{"hash: nutcracker's crc32 has only 32768 values"}},
		{"an address twice", "listen: 127.0.0.1:2\n  servers: ['10.0.0.1:6380:1 one', '10.0.0.1:6380:1 two']", "", []string{"servers: 10.0.0.1:6380 is there twice, first on line 3"}},
		{"its own server", "listen: 127.0.0.1:6380\n  servers: ['127.0.0.1:6380:1 me', '10.0.0.1:6380:1']", "", []string{"servers: 127.0.0.1:6380 is where the pool itself listens"}},
	})
}

// Every key that says that it is ignored in pools of Memcached is warned of there.
func TestIdleInMemcached(t *testing.T) {
	for i := range poolKeys {
		k := &poolKeys[i]
		block, _, _ := strings.Cut(k.name, ".")
		if strings.Contains(k.help, "Ignored in Memcached pools") && !slices.Contains(idleInMemcached, block) {
			t.Errorf("%s is not in idleInMemcached", k.name)
		}
	}
	for _, key := range idleInMemcached {
		if lookup(poolKeys, key) == nil && under(poolKeys, key) == nil {
			t.Errorf("there is no key %s", key)
		}
	}
}

// A warned is a pool with some lines, and with more behind it, and the warnings about these.
type warned struct {
	name, lines, more string
	want              []string // a part of each, by line
}

func checkWarnings(t *testing.T, tests []warned) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines := tt.lines
			if !strings.Contains(lines, "listen:") {
				lines = "listen: 127.0.0.1:1\n  servers: ['10.0.0.1:6380:1']\n  " + lines
			}
			if !strings.Contains(lines, " timeout:") && !strings.HasPrefix(lines, "timeout:") {
				lines += "\n  timeout: 400"
			}
			cfg, err := Parse("a.yml", []byte("a:\n  "+lines+"\n"+tt.more))
			if err != nil {
				t.Fatal(err)
			}
			if len(cfg.Warnings) != len(tt.want) {
				t.Fatalf("warnings %q, want %q", cfg.Warnings, tt.want)
			}
			for i, want := range tt.want {
				if got := cfg.Warnings[i].Error(); !strings.Contains(got, want) {
					t.Errorf("%q does not say %q", got, want)
				}
			}
		})
	}
}
