package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/preview"
	"nuthatch/internal/testkit"
)

// otherValues are values, other than the default, of keys that take no yes or no
// and no plain number.
func otherValues(t *testing.T) map[string]string {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("sesame"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte(strings.Repeat("0", 64)), 0o600); err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(users, []byte("user default off\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	headers := filepath.Join(t.TempDir(), "headers")
	if err := os.WriteFile(headers, []byte("A=b"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NUTHATCH_TEST_SECRET", "sesame")
	t.Setenv("NUTHATCH_TEST_HEADERS", "A=b")
	return map[string]string{
		"redis_auth_file": token, "redis_auth_env": "NUTHATCH_TEST_SECRET", "redis_auth_previous": "sesame", "redis_auth_previous_file": token,
		"redis_auth_previous_env": "NUTHATCH_TEST_SECRET", "server_user": "proxy", "server_password": "sesame", "server_password_file": token,
		"server_password_env": "NUTHATCH_TEST_SECRET", "tls.listen": testkit.FreeAddr(t), "tls.server_names": "a.example", "tls.allow_from": "127.0.0.0/8", "tls.deny_from": "none", "tls.proxy_protocol_from": "10.0.0.0/8", "tls.key_password_file": token, "server_tls.key_password_file": token, "tls.key_password_env": "NUTHATCH_TEST_SECRET", "server_tls.key_password_env": "NUTHATCH_TEST_SECRET",
		"admin_token_env": "NUTHATCH_TEST_SECRET", "admin_read_token": "sesame", "admin_read_token_file": token, "admin_read_token_env": "NUTHATCH_TEST_SECRET", "admin_tls.key_password_file": token, "admin_tls.key_password_env": "NUTHATCH_TEST_SECRET", "admin_tls.client_cert": "required", "admin_tls.min_version": "TLSv1.3",
		"tls_ticket_keys_file": keys,
		"acl_file":             users,
		"emulate.cluster":      "false", "emulate.announce": "127.0.0.1:7001", "emulate.peers": `["127.0.0.1:2"]`,
		"emulate.sentinel_listen": testkit.FreeAddr(t), "emulate.sentinel_name": "main",
		"on_readonly": "resolve", "sentinels": `["127.0.0.1:2"]`, "sentinel_user": "watcher", "sentinel_password": "sesame", "sentinel_password_file": token,
		"sentinel_password_env": "NUTHATCH_TEST_SECRET", "sentinel_tls.key_password_file": token, "sentinel_tls.key_password_env": "NUTHATCH_TEST_SECRET",
		"sentinel_tls.ca": "system", "sentinel_tls.server_name": "cache", "sentinel_tls.verify": "none",
		"listen": testkit.FreeAddr(t), "hash": "md5", "hash_tag": `"{}"`, "distribution": "modula", "redis_auth": "sesame",
		"auth_mode": "passthrough", "client_login_timeout": "3s", "allow_from": "127.0.0.0/8", "deny_from": "10.0.0.0/8", "proxy_protocol_from": "10.0.0.0/8", "proxy_protocol_timeout": "7s", "connect_timeout": "2s", "request_timeout": "2s", "server_idle_timeout": "2s", "unknown_commands": "refuse", "failed_select": "ignore", "transactions": "refuse", "max_transaction_size": "7mb", "private_idle_timeout": "1m", "tracking": "off", "pubsub.publish": "owner", "pubsub.on_loss": "resubscribe", "pubsub.ping": "7s", "pubsub.max_subscriptions": "77", "pubsub.output_limit": "9mb", "pubsub.output_soft_limit": "3mb", "pubsub.output_soft_time": "9s",
		"pubsub.connections": "shared", "read_policy": "nearest", "read_own_writes": "3s", "max_replica_lag": "7kb", "max_replica_silence": "7s", "zone": "eu-1a",
		"eject": "fail", "health_check.interval": "2s", "health_check.timeout": "3s", "reconnect_backoff": "20ms",
		"limits.requests_per_second": "7", "limits.request_burst": "7", "limits.bytes_per_second": "7mb", "limits.byte_burst": "7kb", "limits.in_flight": "7", "limits.max_wait": "7s",
		"reconnect_backoff_max": "3s", "retry": "unsent", "partial_results": "nulls", "keyless_scripts": "any", "server_max_queued_bytes": "2gb", "server_max_reply": "2gb",
		"max_request_size": "7kb", "client_max_queued": "77kb", "client_output_limit": "8mb", "client_output_soft_limit": "1mb",
		"tcpkeepalive_idle": "1m", "tcpkeepalive_interval": "5s", "client_idle_timeout": "1m", "client_output_soft_time": "1m", "timeout": "7s", "server_retry_timeout": "7s",
		"drain_timeout": "7s", "drain_delay": "1s", "resolve_interval": "7s", "max_memory": "1gb", "admin": testkit.FreeAddr(t),
		"admin_socket": filepath.Join(t.TempDir(), "actions.sock"), "admin_token": "sesame", "admin_token_file": token, "log_format": "json", "engine": "epoll",
		"slowlog_slower_than": "7ms", "tracing.endpoint": "http://127.0.0.1:1", "tracing.protocol": "http/json", "tracing.headers": "A=b", "tracing.headers_file": headers, "tracing.headers_env": "NUTHATCH_TEST_HEADERS", "history_memory": "7mb", "tls_handshake_timeout": "5s",
		"tls.client_cert": "required", "tls.user_from": "cn", "tls.min_version": "TLSv1.3", "tls.ciphers": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
		"server_tls.ca": "system", "server_tls.server_name": "cache", "server_tls.verify": "none",
	}
}

// another returns a value of a key that differs from the one in force.
func another(t *testing.T, values map[string]string, s config.Setting) string {
	t.Helper()
	if v := values[s.Key]; v != "" {
		return v
	}
	switch s.Value {
	case "true":
		return "false"
	case "false":
		return "true"
	}
	n, err := strconv.Atoi(s.Value)
	if err != nil {
		t.Fatalf("%s: otherValues has no other value than %q", s.Key, s.Value)
	}
	return strconv.Itoa(n + 1)
}

// line is a key with its value as a file has it; a.b is a in braces, with what else a
// cannot be without, of rest.
func line(key, value string, rest map[string]string) string {
	block, inner, ok := strings.Cut(key, ".")
	if !ok {
		return fmt.Sprintf("  %s: %s\n", key, value)
	}
	all := inner + ": " + value
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		if b, k, _ := strings.Cut(name, "."); b == block && k != inner {
			all += ", " + k + ": " + rest[name]
		}
	}
	return fmt.Sprintf("  %s: {%s}\n", block, all)
}

// beside are the lines that a pool has before a key is given, and with it, so that nothing
// else changes: a secret that comes from elsewhere is the one that it was.
func beside(key string) (before, with string) {
	secret, auth := key, ""
	for _, suffix := range []string{"_file", "_env"} {
		secret = strings.TrimSuffix(secret, suffix)
	}
	switch {
	case key == "tls.user_from":
		return "  users: {default: {rules: 'off'}}\n", "  users: {default: {rules: 'off'}}\n"
	case key == "cluster": // which has that tag
		return "  hash_tag: \"{}\"\n", ""
	case strings.HasPrefix(key, "emulate."):
		return "  hash_tag: \"{}\"\n", "  hash_tag: \"{}\"\n"
	case key == "server_user":
		return "  server_password: sesame\n", "  server_password: sesame\n"
	case key == "sentinel_user":
		return "  sentinel_password: sesame\n", "  sentinel_password: sesame\n"
	case key == "sentinels":
		return "  sentinels: [\"127.0.0.1:1\"]\n", ""
	case secret == "redis_auth_previous":
		auth = "  redis_auth: sesame\n"
	case secret != "redis_auth" && secret != "server_password" && secret != "sentinel_password":
		return "", ""
	}
	if secret == key {
		return auth, auth
	}
	return auth + "  " + secret + ": sesame\n", auth
}

// find returns the value of a key among settings.
func find(all []config.Setting, key string) string {
	return all[slices.IndexFunc(all, func(s config.Setting) bool { return s.Key == key })].Value
}

// TestReloadOfEveryKey gives every key that there is another value, one at a time:
// a reload tells the change, once, as applied or as not applied, and what it tells
// is what is in force.
func TestReloadOfEveryKey(t *testing.T) {
	k := newEveryKey(t)
	k.apply(k.base(""))
	conf := k.stage.current.Load().conf
	k.pools(config.PoolSettings(&conf.Pools[0]))
	k.entries()
	k.users()
	k.userLimits()
	k.replicas()
	k.process(config.ProcessSettings(&conf.Process))
}

// An everyKey is a proxy whose keys are given other values.
type everyKey struct {
	t      *testing.T
	stage  *stage
	server string
	values map[string]string
	// rest is what blocks cannot be without.
	rest map[string]string
	// listen and admin are lines that all configurations have.
	listen, admin string
}

func newEveryKey(t *testing.T) *everyKey {
	t.Helper()
	a, server := testkit.NewAuthority(t), testkit.StartRedis(t)
	cert, key := a.Pair("proxy")
	k := &everyKey{
		t: t, server: testkit.Names(server)[0], values: otherValues(t),
		listen: line("listen", testkit.FreeAddr(t), nil), admin: line("admin", testkit.FreeAddr(t), nil) + "  threads: 2\n",
		rest: map[string]string{
			"health_check.interval": "1s", "tls.listen": testkit.FreeAddr(t), "tls.cert": cert, "tls.key": key, "tls.client_ca": a.CA, "tls.client_cert": "optional",
			"server_tls.ca": a.CA, "server_tls.cert": cert, "server_tls.key": key,
			"sentinel_tls.ca": a.CA, "sentinel_tls.cert": cert, "sentinel_tls.key": key,
			"emulate.cluster": "true", "emulate.announce": "127.0.0.1:7000", "emulate.sentinel_listen": testkit.FreeAddr(t),
			"admin_tls.cert": cert, "admin_tls.key": key, "admin_tls.client_ca": a.CA, "admin_tls.client_cert": "optional",
		},
	}
	for name, path := range k.rest {
		if filepath.IsAbs(path) && k.values[name] == "" { // the same file under another name
			k.values[name] = path + ".too"
			if err := os.Link(path, k.values[name]); err != nil && !errors.Is(err, os.ErrExist) {
				t.Fatal(err)
			}
		}
	}
	k.stage = startStage(t, pool("alpha", testkit.FreeAddr(t), testkit.Names(server)))
	return k
}

// text is a configuration with lines in the pool, and in the block of the process.
func (k *everyKey) text(lines, process string) string {
	return fmt.Sprintf("alpha:\n  redis: true\n%s  servers:\n    - %s\nnuthatch:\n%s", lines, k.server, process)
}

// base is one with more lines in the pool.
func (k *everyKey) base(lines string) string { return k.text(k.listen+lines, k.admin) }

func (k *everyKey) apply(text string) *preview.Change {
	k.t.Helper()
	if err := os.WriteFile(k.stage.file, []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
	change, err := k.stage.Reload("test")
	if err != nil {
		k.t.Fatalf("%v in\n%s", err, text)
	}
	return change
}

// inForce is a key's value: of the pool, or of the process.
func (k *everyKey) inForce(key string, process bool) string {
	conf := k.stage.current.Load().conf
	if process {
		return find(config.ProcessSettings(&conf.Process), key)
	}
	return find(config.PoolSettings(&conf.Pools[0]), key)
}

// neighbour is a line of the block that a key is in, with all that the block cannot be
// without; empty if it can be without any.
func (k *everyKey) neighbour(key string) string {
	block, _, within := strings.Cut(key, ".")
	for name, value := range k.rest {
		if within && strings.HasPrefix(name, block+".") && key != "health_check.interval" {
			return line(name, value, k.rest)
		}
	}
	return ""
}

// pools gives the keys of the pool other values.
func (k *everyKey) pools(all []config.Setting) {
	k.t.Helper()
	for _, set := range all {
		value, lines, server := another(k.t, k.values, set), k.listen, k.server
		switch set.Key {
		case "sentinels":
			k.server += "\n    - sentinel://main:1 main"
		case "cluster": // whose nodes have no names
			k.server, _, _ = strings.Cut(k.server, " ")
		case "listen":
			lines = ""
		case "redis": // which is written already
			continue
		}
		before, with := beside(set.Key)
		k.apply(k.base(before + k.neighbour(set.Key)))
		was := k.inForce(set.Key, false)
		change := k.apply(k.text(lines+with+line(set.Key, value, k.rest), k.admin))
		var applied []config.Change
		for _, p := range change.Pools {
			applied = append(applied, p.Settings...)
		}
		judge(k.t, set.Key, was, k.inForce(set.Key, false), applied, change.NotApplied)
		k.server = server
	}
}

// entries gives the keys of an entry of a list other values.
func (k *everyKey) entries() {
	k.t.Helper()
	for _, name := range []string{"cert", "key", "key_password_file"} {
		entry := map[string]string{"cert": k.rest["tls.cert"], "key": k.rest["tls.key"], "key_password_file": k.values["admin_token_file"]}
		block := func() string {
			return line("tls.certs", fmt.Sprintf("[{cert: %s, key: %s, key_password_file: %s}]", entry["cert"], entry["key"], entry["key_password_file"]), k.rest)
		}
		k.apply(k.base(block()))
		key := "tls.certs[0]." + name
		was := k.inForce(key, false)
		if entry[name] += ".too"; name == "key_password_file" {
			if err := os.WriteFile(entry[name], []byte("sesame"), 0o600); err != nil {
				k.t.Fatal(err)
			}
		}
		change := k.apply(k.base(block()))
		judge(k.t, key, was, k.inForce(key, false), change.Pools[0].Settings, change.NotApplied)
	}
}

// users gives the keys of a user other values.
func (k *everyKey) users() {
	k.t.Helper()
	token := k.values["admin_token_file"]
	for name, values := range map[string][2]string{
		"rules": {"", ""}, "password": {"password: a", "password: b"}, "password_file": {"password: sesame", "password_file: " + token},
		"password_env": {"password: sesame", "password_env: NUTHATCH_TEST_SECRET"},
	} {
		rules := "'on ~a'"
		block := func(value string) string {
			if value != "" {
				value = ", " + value
			}
			return "  users: {default: {rules: 'off'}, alice: {rules: " + rules + value + "}}\n"
		}
		k.apply(k.base(block(values[0])))
		key := "users.alice." + name
		was := k.inForce(key, false)
		if name == "rules" {
			rules = "'on ~b'"
		}
		change := k.apply(k.base(block(values[1])))
		judge(k.t, key, was, k.inForce(key, false), change.Pools[0].Settings, change.NotApplied)
	}
}

// userLimits gives the limits of a user other values.
func (k *everyKey) userLimits() {
	k.t.Helper()
	limits := []string{
		"clients: 1000", "requests_per_second: 1000000", "request_burst: 1000000", "bytes_per_second: 1000000000",
		"byte_burst: 1000000000", "in_flight: 1000", "max_wait: 10s", "databases: 2", "read_only: false",
	}
	block := func() string { return "  user_limits: {alice: {" + strings.Join(limits, ", ") + "}}\n" }
	for i, limit := range limits {
		k.apply(k.base(block()))
		name, value, _ := strings.Cut(limit, ": ")
		key := "user_limits.alice." + name
		was := k.inForce(key, false)
		limits[i] = name + ": 1" + value // ten times as much, and more
		if value == "false" {
			limits[i] = name + ": true"
		}
		change := k.apply(k.base(block()))
		judge(k.t, key, was, k.inForce(key, false), change.Pools[0].Settings, change.NotApplied)
	}
}

// replicas gives replicas other addresses, and networks other zones.
func (k *everyKey) replicas() {
	k.t.Helper()
	for key, format := range map[string]string{
		"replicas.s1.addresses": "  replicas: {s1: [127.0.0.1:%d]}\n", "server_zones.10.0.0.0/8.zone": "  server_zones: {10.0.0.0/8: z%d}\n",
	} {
		k.apply(k.base(fmt.Sprintf(format, 1)))
		was := k.inForce(key, false)
		change := k.apply(k.base(fmt.Sprintf(format, 2)))
		judge(k.t, key, was, k.inForce(key, false), change.Pools[0].Settings, change.NotApplied)
	}
}

// process gives the keys of the process other values.
func (k *everyKey) process(all []config.Setting) {
	k.t.Helper()
	for _, set := range all {
		k.apply(k.text(k.listen, k.admin+k.neighbour(set.Key)))
		lines := line(set.Key, another(k.t, k.values, set), k.rest)
		for admin := range strings.Lines(k.admin) {
			if name, _, _ := strings.Cut(strings.TrimSpace(admin), ":"); name != set.Key {
				lines += admin
			}
		}
		was := k.inForce(set.Key, true)
		change := k.apply(k.text(k.listen, lines))
		judge(k.t, "nuthatch."+set.Key, was, k.inForce(set.Key, true), change.Process, change.NotApplied)
	}
}

// TestReloadLooksIntoEveryBlock: what TestReloadOfEveryKey gives other values are the keys
// that a pool and a process without lists and maps of blocks have. Such a list or map needs an
// entry there, for its keys to be given others too.
func TestReloadLooksIntoEveryBlock(t *testing.T) {
	type property struct {
		Items, AdditionalProperties any // a schema, if the value is a list, or a map
		Properties                  map[string]json.RawMessage
	}
	var schema struct {
		Defs map[string]property `json:"$defs"`
	}
	if err := json.Unmarshal(config.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	looked := 0
	var look func(where string, p property)
	look = func(where string, p property) {
		if where == "defaults" { // they are read as keys of each pool
			return
		}
		for name, raw := range p.Properties {
			var inner property
			if err := json.Unmarshal(raw, &inner); err != nil {
				t.Fatal(err)
			}
			entry, list := inner.Items.(map[string]any)
			_, named := inner.AdditionalProperties.(map[string]any)
			if (named || list && entry["type"] == "object") && !slices.Contains([]string{"pool.tls.certs", "pool.users", "pool.user_limits", "pool.replicas", "pool.server_zones"}, where+"."+name) {
				t.Errorf("no reload changes the keys in an entry of %s.%s", where, name)
			}
			looked++
			look(where+"."+name, inner)
		}
	}
	for name, p := range schema.Defs {
		look(name, p)
	}
	if conf := config.DefaultProcess(); looked <= len(config.ProcessSettings(&conf)) {
		t.Errorf("the schema has %d keys", looked)
	}
}

// judge compares what a reload told of a key with what became of it.
func judge(t *testing.T, key, before, after string, applied []config.Change, not []preview.NotApplied) {
	t.Helper()
	names := func(c config.Change) bool { return c.Key == key }
	told := slices.ContainsFunc(applied, names)
	kept := slices.ContainsFunc(not, func(n preview.NotApplied) bool { return names(n.Change) && n.Why != "" })
	switch {
	case told == kept:
		t.Errorf("%s: told as applied: %t, and as not applied: %t", key, told, kept)
	case len(applied)+len(not) != 1:
		t.Errorf("%s: told besides: %v, not applied %v", key, applied, not)
	case told && strings.Contains(key, "auth"), told && strings.HasSuffix(key, "token"), told && before == "<redacted>": // they look the same
	case told != (before != after):
		t.Errorf("%s: told as applied: %t, and %q was %q", key, told, after, before)
	}
}

// TestOwnPort: a listener cannot go to another host of its port in one step, and
// the refusal says who has it.
func TestOwnPort(t *testing.T) {
	server := testkit.StartRedis(t)
	names := testkit.Names(server)
	listen, admin := testkit.FreeAddr(t), testkit.FreeAddr(t)
	everywhere := func(addr string) string { return strings.Replace(addr, "127.0.0.1", "0.0.0.0", 1) }
	s := startStageWith(t, pool("alpha", listen, names), "  admin: "+admin+"\n", server)
	s.process = "  admin: " + everywhere(admin) + "\n  admin_insecure: true\n"
	s.write(pool("alpha", everywhere(listen), names))
	_, err := s.Reload("test")
	if err == nil {
		t.Fatal("no error")
	}
	for _, own := range []string{listen, admin} {
		if want := "this proxy's own listener at '" + own + "'"; !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}
