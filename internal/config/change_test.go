package config

import (
	"reflect"
	"strings"
	"testing"
)

// TestKeysAreReadBack: what is told as a key's value, the kind reads to the same value
// again, whether the value is the default or another.
func TestKeysAreReadBack(t *testing.T) {
	cfg, err := Parse("every-key", readTestFile(t, "testdata/good-every-key.yml"))
	if err != nil {
		t.Fatal(err)
	}
	def := DefaultPool()
	def.Listen = Address{Network: NetworkUnix, Path: "/run/a.sock", Mode: 0o60}
	for _, p := range append([]Pool{def}, cfg.Pools...) {
		readBack(t, poolKeys, &p)
	}
	readBack(t, processKeys, &cfg.Process)
}

func readBack[T any](t *testing.T, keys []key[T], from *T) {
	t.Helper()
	for _, k := range keys {
		if k.blocks != nil {
			k.blocks.(walked[T]).readBack(t, from)
			continue
		}
		if k.kind.list || k.whole != nil {
			continue
		}
		if !k.field(reflect.ValueOf(from).Elem()).IsValid() {
			t.Errorf("%s sets no field when it is given the probe: its changes would be told to nobody", k.name)
			continue
		}
		text := k.text(from)
		if text == "" {
			continue
		}
		v, err := k.kind.parse(k.limits, text)
		if err != nil {
			t.Errorf("%s: the text is %q: %v", k.name, text, err)
			continue
		}
		copied := *from
		k.set(&copied, v)
		if !reflect.DeepEqual(copied, *from) {
			t.Errorf("%s: the text is %q, which is read as another value", k.name, text)
		}
	}
}

// walked are the blocks of a list or a map, for tests that look at every key in them.
type walked[T any] interface {
	readBack(t *testing.T, from *T)
	noticed(t *testing.T, at keyPath, old *T, values map[string]string)
}

func (c collection[T, B]) readBack(t *testing.T, from *T) {
	t.Helper()
	list, _ := c.all(from)
	for i := range list {
		readBack(t, c.keys, &list[i])
	}
}

func (p part[T, B]) readBack(t *testing.T, from *T) {
	t.Helper()
	p.blocks.(walked[B]).readBack(t, p.at(from))
}

func (c collection[T, B]) noticed(t *testing.T, at keyPath, old *T, values map[string]string) {
	t.Helper()
	changed := *old
	list, was := c.at(&changed), *c.at(old)
	var one B
	setDefaults(&one, c.keys)
	step := place(0)
	if c.named() {
		step = "one"
		*c.name(&one) = step
	}
	noticed(t, c.keys, &one, values, func(before, after *B) []Change {
		*c.at(old), *list = []B{*before}, []B{*after}
		found := c.changes(at, old, &changed)
		for i := range found {
			found[i].Key = strings.TrimPrefix(found[i].Key, at.entry(step).String()+".")
		}
		return found
	})
	*c.at(old), *list = was, was
}

func (p part[T, B]) noticed(t *testing.T, at keyPath, old *T, values map[string]string) {
	t.Helper()
	p.blocks.(walked[B]).noticed(t, at, p.at(old), values)
}

// TestEveryKeyIsNoticed gives every key another value, one at a time.
func TestEveryKeyIsNoticed(t *testing.T) {
	values := map[string]string{
		"listen": "127.0.0.1:9999", "hash": "md5", "hash_tag": "{}", "distribution": "modula", "redis_auth": "open sesame",
		"pubsub.connections": "shared", "read_policy": "nearest", "read_own_writes": "3s", "max_replica_lag": "7kb", "max_replica_silence": "7s", "addresses": "127.0.0.1:7", "zone": "z",
		"unknown_commands": "refuse", "failed_select": "ignore", "auth_mode": "passthrough", "transactions": "refuse", "max_transaction_size": "7mb", "private_idle_timeout": "1m", "tracking": "off", "pubsub.publish": "owner", "pubsub.on_loss": "resubscribe", "pubsub.ping": "7s", "pubsub.max_subscriptions": "77", "pubsub.output_limit": "9mb", "pubsub.output_soft_limit": "3mb", "pubsub.output_soft_time": "9s", "eject": "fail", "retry": "unsent", "health_check.interval": "2s", "connect_timeout": "2s", "cluster_refresh": "7s", "request_timeout": "2s", "server_idle_timeout": "2s",
		"clients": "7", "requests_per_second": "7", "request_burst": "7", "bytes_per_second": "7mb", "byte_burst": "7kb", "in_flight": "7", "max_wait": "7s",
		"limits.requests_per_second": "7", "limits.request_burst": "7", "limits.bytes_per_second": "7mb", "limits.byte_burst": "7kb", "limits.in_flight": "7", "limits.max_wait": "7s",
		"client_login_timeout": "3s", "allow_from": "10.0.0.0/8", "deny_from": "::1", "proxy_protocol_from": "unix", "proxy_protocol_timeout": "7s",
		"server_max_queued_bytes": "2gb", "server_max_reply": "2gb",
		"health_check.timeout": "3s", "reconnect_backoff": "20ms", "reconnect_backoff_max": "3s", "partial_results": "nulls", "keyless_scripts": "any", "max_request_size": "7kb", "client_max_queued": "77kb",
		"client_output_limit": "8mb", "client_output_soft_limit": "1mb",
		"redis_auth_file": "/s", "redis_auth_env": "S", "redis_auth_previous": "barley", "redis_auth_previous_file": "/s", "redis_auth_previous_env": "S",
		"acl_file": "/users.acl", "rules": "on ~*", "password": "barley", "password_file": "/s", "password_env": "S",
		"server_user": "u", "server_password": "barley", "server_password_file": "/s", "server_password_env": "S",
		"emulate.announce": "10.0.0.1:6379", "emulate.peers": "10.0.0.1:6379", "emulate.sentinel_listen": "127.0.0.1:26379", "emulate.sentinel_name": "main", "on_readonly": "resolve", "sentinel_user": "u", "sentinel_password": "rye", "sentinel_password_file": "/s", "sentinel_password_env": "S", "sentinel_tls.key_password_file": "/p", "sentinel_tls.key_password_env": "P",
		"sentinel_tls.ca": "system", "sentinel_tls.cert": "/c", "sentinel_tls.key": "/k", "sentinel_tls.server_name": "cache", "sentinel_tls.verify": "none",
		"tls.server_names": "a.example", "tls.listen": "127.0.0.1:9998", "tls.key_password_file": "/p", "tls.key_password_env": "P", "server_tls.key_password_file": "/p", "server_tls.key_password_env": "P", "cert": "/c", "key": "/k", "key_password_file": "/p", "key_password_env": "P",
		"tls.allow_from": "10.0.0.0/8", "tls.deny_from": "none", "tls.proxy_protocol_from": "10.0.0.1", "tls.cert": "/c", "tls.key": "/k", "tls.client_ca": "/ca", "tls.client_cert": "required", "tls.user_from": "cn", "tls.min_version": "TLSv1.3",
		"tls.ciphers":   "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
		"server_tls.ca": "system", "server_tls.cert": "/c", "server_tls.key": "/k", "server_tls.server_name": "cache", "server_tls.verify": "none",
		"tcpkeepalive_idle": "1m", "tcpkeepalive_interval": "5s", "client_idle_timeout": "1m", "client_output_soft_time": "1m", "timeout": "400ms", "server_retry_timeout": "5s",
	}
	old := DefaultPool()
	noticed(t, poolKeys, &old, values, PoolChanges)
	small := fleet{}
	setDefaults(&small, fleetKeys)
	noticed(t, fleetKeys, &small, map[string]string{
		"address": "127.0.0.1:1", "tls.cert": "/c", "cert": "/c", "name": "/n", "wait": "5s", "tls.wait": "5s", "limits.wait": "5s",
		"limits.cert": "/c", "password": "open sesame", "weight": "7",
	}, func(old, changed *fleet) []Change { return changes(nil, fleetKeys, old, changed) })
}

// noticed gives every key another value, one at a time, and compares the changes that are
// told. Keys have the names that they have in their own block.
func noticed[T any](t *testing.T, keys []key[T], old *T, values map[string]string, find func(old, changed *T) []Change) {
	t.Helper()
	for _, k := range keys {
		if k.blocks != nil {
			k.blocks.(walked[T]).noticed(t, keyPath(nil).to(k.name), old, values)
			continue
		}
		if k.kind.list || k.whole != nil {
			continue
		}
		text := values[k.name]
		if text == "" {
			text = otherValue(k.text(old))
		}
		v, err := k.kind.parse(k.limits, text)
		if err != nil {
			t.Fatalf("%s: %v", k.name, err)
		}
		changed := *old
		k.set(&changed, v)
		want := []Change{{Key: k.name, Old: k.text(old), New: text}}
		if k.kind.secret {
			want[0].New = "a new one"
		}
		if got := find(old, &changed); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: changes %v, want %v", k.name, got, want)
		}
	}
}

func otherValue(text string) string {
	switch text {
	case "true":
		return "false"
	case "false":
		return "true"
	}
	return "1" + strings.TrimLeft(text, "0")
}

func TestSecretsAreNotShown(t *testing.T) {
	old, changed := DefaultPool(), DefaultPool()
	old.RedisAuth, changed.RedisAuth = "swordfish", "open sesame"
	want := []Change{{Key: "redis_auth", Old: "the old one", New: "a new one"}}
	if got := PoolChanges(&old, &changed); !reflect.DeepEqual(got, want) {
		t.Errorf("changes %v, want %v", got, want)
	}
}

// Whoever may not know the secrets in force finds out nothing by a guess, right or wrong.
func TestGuessesAreNotCompared(t *testing.T) {
	with := func(secret string) *Config {
		c := &Config{Process: DefaultProcess(), Pools: []Pool{DefaultPool()}}
		p := &c.Pools[0]
		p.Name, p.Users = "alpha", []User{{Name: "bob"}, {Name: "alice"}}
		if secret == "other" {
			p.Users = []User{{Name: "alice"}, {Name: "bob"}}
		}
		count := setSecrets(processKeys, &c.Process, secret) + setSecrets(poolKeys, p, secret)
		for i := range p.Users {
			count += setSecrets(userKeys, &p.Users[i], secret+p.Users[i].Name)
		}
		if count != 11 {
			t.Errorf("%d keys are secrets, want 11", count)
		}
		return c
	}
	old, guess := with("in force"), with("other")
	if n := len(PoolChanges(&old.Pools[0], &guess.Pools[0])) + len(ProcessChanges(&old.Process, &guess.Process)); n != 11 {
		t.Errorf("%d changes, want 11", n)
	}
	shown := guess.WithoutGuesses(old)
	if got := append(PoolChanges(&old.Pools[0], &shown.Pools[0]), ProcessChanges(&old.Process, &shown.Process)...); got != nil {
		t.Errorf("a guess is compared: %v", got)
	}
	if guess.Pools[0].RedisAuth != "other" || guess.Pools[0].Users[0].Rules != "otheralice" || guess.Process.AdminToken != "other" {
		t.Error("the guess itself was changed")
	}
	guess.Pools[0].RedisAuth, guess.Pools[0].Users = "", nil
	if got := PoolChanges(&old.Pools[0], &guess.WithoutGuesses(old).Pools[0]); len(got) != 5 {
		t.Errorf("what is taken away is not told: %v", got)
	}
}

// setSecrets sets all keys that are secrets, and returns how many there are.
func setSecrets[T any](keys []key[T], into *T, secret string) (count int) {
	for _, k := range keys {
		if k.blocks == nil && k.kind.secret {
			k.set(into, value{text: secret})
			count++
		}
	}
	return count
}
