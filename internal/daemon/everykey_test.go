package daemon

import (
	"encoding/json"
	"fmt"
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
	return map[string]string{
		"listen": testkit.FreeAddr(t), "hash": "md5", "hash_tag": `"{}"`, "distribution": "modula", "redis_auth": "sesame",
		"connect_timeout": "2s", "request_timeout": "2s", "server_idle_timeout": "2s", "unknown_commands": "refuse", "failed_select": "ignore", "transactions": "refuse", "max_transaction_size": "7mb", "private_idle_timeout": "1m", "pubsub.publish": "owner", "pubsub.max_subscriptions": "77", "pubsub.output_limit": "9mb", "pubsub.output_soft_limit": "3mb", "pubsub.output_soft_time": "9s",
		"eject": "fail", "health_check.interval": "2s", "health_check.timeout": "3s", "reconnect_backoff": "20ms",
		"reconnect_backoff_max": "3s", "retry": "unsent", "partial_results": "nulls", "keyless_scripts": "any", "server_max_queued_bytes": "2gb", "server_max_reply": "2gb",
		"max_request_size": "7kb", "client_max_queued": "77kb", "client_output_limit": "8mb", "client_output_soft_limit": "1mb",
		"tcpkeepalive_idle": "1m", "tcpkeepalive_interval": "5s", "client_idle_timeout": "1m", "client_output_soft_time": "1m",
		"drain_timeout": "7s", "drain_delay": "1s", "resolve_interval": "7s", "max_memory": "1gb", "admin": testkit.FreeAddr(t),
		"admin_socket": filepath.Join(t.TempDir(), "actions.sock"), "admin_token": "sesame", "admin_token_file": token, "log_format": "json",
		"slowlog_slower_than": "7ms",
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

// line is a key with its value as a file has it; a.b is a in braces.
func line(key, value string) string {
	if block, inner, ok := strings.Cut(key, "."); ok && block == "health_check" && inner != "interval" {
		return fmt.Sprintf("  %s: {interval: 1s, %s: %s}\n", block, inner, value) // without it there are none
	} else if ok {
		return fmt.Sprintf("  %s: {%s: %s}\n", block, inner, value)
	}
	return fmt.Sprintf("  %s: %s\n", key, value)
}

// find returns the value of a key among settings.
func find(all []config.Setting, key string) string {
	return all[slices.IndexFunc(all, func(s config.Setting) bool { return s.Key == key })].Value
}

// TestReloadOfEveryKey gives every key that there is another value, one at a time:
// a reload tells the change, once, as applied or as not applied, and what it tells
// is what is in force.
func TestReloadOfEveryKey(t *testing.T) {
	server := testkit.StartRedis(t)
	values := otherValues(t)
	text := func(lines, process string) string {
		base := fmt.Sprintf("alpha:\n  redis: true\n%s  servers:\n    - %s\n", lines, testkit.Names(server)[0])
		return base + "nuthatch:\n" + process
	}
	listen, admin := line("listen", testkit.FreeAddr(t)), line("admin", testkit.FreeAddr(t))
	s := startStage(t, pool("alpha", testkit.FreeAddr(t), testkit.Names(server)))
	apply := func(text string) *preview.Change {
		t.Helper()
		if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		change, err := s.Reload("test")
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		return change
	}
	apply(text(listen, admin+"  threads: 2\n"))
	conf := s.current.Load().conf
	for _, set := range config.PoolSettings(&conf.Pools[0]) {
		value, lines := another(t, values, set), listen
		switch set.Key {
		case "listen":
			lines = ""
		case "redis": // which is written already
			continue
		}
		base := text(listen, admin+"  threads: 2\n")
		if strings.HasPrefix(set.Key, "health_check.") && set.Key != "health_check.interval" {
			base = text(listen+line("health_check.interval", "1s"), admin+"  threads: 2\n")
		}
		apply(base)
		before := find(config.PoolSettings(&s.current.Load().conf.Pools[0]), set.Key)
		change := apply(text(lines+line(set.Key, value), admin+"  threads: 2\n"))
		after := find(config.PoolSettings(&s.current.Load().conf.Pools[0]), set.Key)
		var applied []config.Change
		for _, p := range change.Pools {
			applied = append(applied, p.Settings...)
		}
		judge(t, set.Key, before, after, applied, change.NotApplied)
	}
	for _, set := range config.ProcessSettings(&conf.Process) {
		apply(text(listen, admin+"  threads: 2\n"))
		lines := line(set.Key, another(t, values, set))
		if set.Key != "admin" {
			lines += admin
		}
		if set.Key != "threads" {
			lines += "  threads: 2\n"
		}
		before := find(config.ProcessSettings(&s.current.Load().conf.Process), set.Key)
		change := apply(text(listen, lines))
		after := find(config.ProcessSettings(&s.current.Load().conf.Process), set.Key)
		judge(t, "nuthatch."+set.Key, before, after, change.Process, change.NotApplied)
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
		for name, raw := range p.Properties {
			var inner property
			if err := json.Unmarshal(raw, &inner); err != nil {
				t.Fatal(err)
			}
			entry, list := inner.Items.(map[string]any)
			_, named := inner.AdditionalProperties.(map[string]any)
			if named || list && entry["type"] == "object" {
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
	case told && strings.Contains(key, "auth"), told && strings.HasSuffix(key, "token"): // they look the same
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
