package config

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestForeignNames finds targets that are no keys, and names that are not squeezed.
func TestForeignNames(t *testing.T) {
	own := ownKeys()
	for _, name := range slices.Sorted(maps.Keys(foreignNames)) {
		if is := foreignNames[name]; !slices.Contains(own, is) {
			t.Errorf("%s: %q is no key", name, is)
		}
		if name != squeeze(name) {
			t.Errorf("%s is never found: squeeze makes %q of it", name, squeeze(name))
		}
	}
	within := keysWithin(slices.Concat(describe(poolKeys), describe(processKeys)))
	for _, block := range slices.Sorted(maps.Keys(foreignInBlocks)) {
		names := foreignInBlocks[block]
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if name != squeeze(name) {
				t.Errorf("%s in %s is never found", name, block)
			}
			if is := names[name]; !slices.Contains(within, is) {
				t.Errorf("%s in %s: %q is no key of a block", name, block, is)
			}
		}
	}
}

// keysWithin are the keys of blocks, at any depth.
func keysWithin(keys []description) (all []string) {
	for i := range keys {
		for j := range keys[i].within {
			all = append(all, keys[i].within[j].name)
		}
		all = append(all, keysWithin(keys[i].within)...)
	}
	return all
}

func TestUnknownKeys(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a port with TLS", "listen_tls: 127.0.0.1:1", "did you mean 'tls: listen' ('listen', indented below 'tls:')?"},
		{"stunnel's", "accept: 127.0.0.1:1", "did you mean 'tls: listen'"},
		{"Redis's", "tls-cert-file: /c", "did you mean 'tls: cert'"},
		{"Redis's memory", "maxmemory: 1gb", "did you mean 'max_memory', below the top-level name 'nuthatch'?"},
		{"HAProxy's", "maxconn: 5", "did you mean 'client_connections'?"},
		{"Envoy's", "op_timeout: 5s", "did you mean 'timeout'?"},
		{"predixy's", "ServerFailureLimit: 5", "did you mean 'server_failure_limit'?"},
		{"nutcracker's option", "stats_port: 22222", "it is set by the option --stats-port"},
		{"a block's name before it", "health_check_interval: 1s", "did you mean 'health_check: interval'"},
		{"a block's key alone", "interval: 1s", "did you mean 'health_check: interval'"},
		{"with the block's name in it", "tls: {tls_cert: /c}", "tls.tls_cert: unknown key; did you mean 'cert'?"},
		{"another's in a block", "tls: {certfile: /c}", "tls.certfile: unknown key; did you mean 'cert'?"},
		{"in an entry of a list", "tls: {certs: [{private-key: /c, cert: /c, key: /k}]}", "tls.certs[0].private-key: unknown key; did you mean 'key'?"},
		{"the pool's in a block", "tls: {timeout: 1s}", "tls.timeout: unknown key; did you mean 'timeout', of the pool?"},
		{"towards servers", "server_tls: {insecure_skip_verify: true}", "did you mean 'verify'?"},
		{"of users", "redis: true\n  users: {a: {permissions: on}}", "users.a.permissions: unknown key; did you mean 'rules'?"},
		{"a merge", "<<: {a: b}", "<<: YAML's merge keys are not supported"},
	} {
		_, err := Parse("f", []byte("a:\n  "+tt.text+"\n"))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	for text, want := range map[string]string{
		"nuthatch:\n  concurrency: 2\n":               "nuthatch.concurrency: unknown key; did you mean 'threads'?",
		"nuthatch:\n  admin_token-file: /x\n":         "did you mean 'admin_token_file'?",
		"nuthatch:\n  requirepass: x\n":               "did you mean 'redis_auth', of the pool?",
		"nuthatch:\n  pool_defaults: {db: 1}\n":       "nuthatch.pool_defaults.db: unknown key; did you mean 'redis_db'?",
		"nuthatch:\n  admin_tls: {certificate: /c}\n": "nuthatch.admin_tls.certificate: unknown key; did you mean 'cert'?",
	} {
		if _, err := Parse("f", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := Parse("f", []byte("a:\n  listen: 127.0.0.1:1\n  servers: [127.0.0.1:2:1]\n  tls: {cert: c.pem, key: /k}\n")); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("a certificate's path that is at fault: %v, want that alone", err)
	}
	_, err := Parse("f", []byte("a:\n  <<: {a: b}\n"))
	if errs, ok := errors.AsType[Errors](err); !ok || len(errs) != 1 {
		t.Errorf("a pool that merges another one has faults %v, want the merge alone", err)
	}
}

func TestForms(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"timeout: 5min", "; write 5m"},
		{"timeout: 1 s", "; write 1s"},
		{"timeout: 90 Seconds", "; write 90s"},
		{"timeout: 1d", "; write 24h"},
		{"request_timeout: 1 h 30 min", "; write 1h30m"},
		{"request_timeout: '0,5 s'", "; write 0.5s"},
		{"request_timeout: never", "; write 0 (no limit)"},
		{"request_timeout: 3", "; a time needs a unit: 3ms or 3s"},
		{"request_timeout: 40d", "found '40d'"},
		{"request_timeout: soon", "found 'soon'"},
		{"max_request_size: 10 MB", "; write 10mb"},
		{"max_request_size: 10m", "; write 10mb"},
		{"max_request_size: 1.5GiB", "; write 1536mb"},
		{"max_request_size: 1,048,576", "; write 1048576"},
		{"max_request_size: 10 apples", "found '10 apples'"},
		{"max_request_size: 9tb", "found '9tb'"},
		{"tcpkeepalive: true\nnuthatch: {admin: 7777}", "; write 127.0.0.1:7777, or 0.0.0.0:7777 for every address"},
		{"redis: true\nnuthatch: {tracing: {sample: 0.1}}", "expected one in how many, and no share, found '0.1'; write 10"},
		{"redis: true\nnuthatch: {tracing: {sample: 5%}}", "found '5%'; write 20"},
		{"redis: true\nnuthatch: {tracing: {sample: 1.5}}", "expected a whole number from 0 to 1073741824, found '1.5'"},
		{"sentinels: [sentinel://mymaster]", "found 'sentinel://mymaster'; the name of a primary belongs into 'servers', as in 'sentinel://mymaster:1'"},
		{"sentinels: [sentinel://10.0.0.1:26379]", "as in 'sentinel://primary:1'"},
		{"client_connections: 10k", "; write 10000"},
		{"client_connections: 1_000", "; write 1000"},
		{"client_connections: 1e3", "; write 1000"},
		{"client_connections: unlimited", "; write 0 (no limit)"},
		{"client_connections: many", "found 'many'"},
		{"backlog: -1", "found '-1'"},
	} {
		_, err := Parse("f", []byte("a:\n  listen: 127.0.0.1:1\n  servers: [127.0.0.1:2:1]\n  "+tt.line+"\n"))
		if err == nil || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q at the end", tt.line, err, tt.want)
		}
	}
}
