package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// writeTree writes files, by their paths within a new folder, and returns it.
func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, []byte(text))
	}
	return dir
}

// somePool is a pool at a port of its own.
func somePool(name string, port int, lines ...string) string {
	text := fmt.Sprintf("%s:\n  listen: 127.0.0.1:%d\n  servers: [10.0.0.1:%d:1]\n", name, port, port)
	for _, l := range lines {
		text += "  " + l + "\n"
	}
	return text
}

// TestInclude: files and patterns, relative to the file that has them, with pools and with
// keys of the process.
func TestInclude(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"main.yml":              "nuthatch:\n  threads: 2\n  include: [conf.d/*.yml, more/one.yml]\n" + somePool("a", 1001, "timeout: 400"),
		"conf.d/b.yml":          somePool("b", 1002, "timeout: 2s"),
		"conf.d/c.yml":          "nuthatch:\n  watch: true\n  pool_defaults:\n    timeout: 300ms\n" + somePool("c", 1003),
		"conf.d/.hidden.yml":    "no pool",
		"conf.d/empty.yml":      "# nothing\n",
		"more/one.yml":          "nuthatch:\n  include: inner/*.yml\n",
		"more/inner/single.yml": somePool("d", 1004),
	})
	cfg, err := Load(filepath.Join(dir, "main.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Warnings) > 0 {
		t.Errorf("warnings %v", cfg.Warnings)
	}
	if !cfg.Process.Watch || cfg.Process.Threads != 2 {
		t.Errorf("process %+v, want the keys of both files", cfg.Process)
	}
	for i, want := range []struct {
		name    string
		timeout time.Duration
		source  string
	}{
		{"a", 400 * time.Millisecond, "main.yml:7"},
		{"b", 2 * time.Second, "conf.d/b.yml:4"},
		{"c", 300 * time.Millisecond, "conf.d/c.yml:4 (pool_defaults)"},
		{"d", 300 * time.Millisecond, "conf.d/c.yml:4 (pool_defaults)"},
	} {
		p := cfg.Pools[i]
		source := cfg.SourceOf(p.Name, "timeout").String()
		if p.Name != want.name || p.Timeout != want.timeout || source != filepath.Join(dir, want.source) {
			t.Errorf("pool %s, timeout %v from %s, want %+v", p.Name, p.Timeout, source, want)
		}
	}
	if at := cfg.SourceOf("", "watch").String(); at != filepath.Join(dir, "conf.d", "c.yml:2") {
		t.Errorf("watch is from %q", at)
	}
	if at := cfg.SourceOf("a", "backlog").String(); at != "" {
		t.Errorf("backlog, which nobody wrote, is from %q", at)
	}
	files := strings.Join(cfg.Files(), " ")
	for _, want := range []string{"conf.d/b.yml", "conf.d/c.yml", "conf.d/*.yml", "more/one.yml", "more/inner/single.yml"} {
		if !strings.Contains(files, filepath.Join(dir, want)) {
			t.Errorf("the files to watch are %s, without %s", files, want)
		}
	}
}

// TestIncludeFaults: each fault names the file that it is in, and its line.
func TestIncludeFaults(t *testing.T) {
	deep := map[string]string{}
	for i := range 12 {
		deep[fmt.Sprintf("%d.yml", i)] = fmt.Sprintf("nuthatch:\n  include: %d.yml\n", i+1)
	}
	deep["main.yml"] = "nuthatch:\n  include: 0.yml\n" + somePool("a", 1001)
	for name, tt := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"a key of an included file": {
			map[string]string{"main.yml": "nuthatch:\n  include: b.yml\n" + somePool("a", 1001), "b.yml": somePool("b", 1002, "hash: md6")},
			[]string{"DIR/b.yml:4: pool 'b': hash: unknown hash 'md6'"},
		},
		"no YAML": {
			map[string]string{"main.yml": "nuthatch:\n  include: b.yml\n" + somePool("a", 1001), "b.yml": "b:\n\tx: 1\n"},
			[]string{"DIR/b.yml:2: YAML: found character that cannot start any token; the line is indented with a tab"},
		},
		"not there": {
			map[string]string{"main.yml": "nuthatch:\n  include:\n    - b.yml\n" + somePool("a", 1001)},
			[]string{"DIR/main.yml:3: nuthatch.include: DIR/b.yml cannot be read: no such file or directory"},
		},
		"a pool twice": {
			map[string]string{"main.yml": "nuthatch:\n  include: b.yml\n" + somePool("a", 1001), "b.yml": "\n" + somePool("a", 1002)},
			[]string{"DIR/b.yml:2: the name 'a' is taken already, on line 3"},
		},
		"a process key twice": {
			map[string]string{"main.yml": "nuthatch:\n  include: [b.yml, c.yml]\n" + somePool("a", 1001), "b.yml": "nuthatch:\n  threads: 1\n", "c.yml": "nuthatch:\n  threads: 2\n"},
			[]string{"DIR/c.yml:2: nuthatch.threads: given twice; the first is on line 2 of DIR/b.yml"},
		},
		"an address twice": {
			map[string]string{"main.yml": "nuthatch:\n  include: b.yml\n" + somePool("a", 1001), "b.yml": somePool("b", 1001)},
			[]string{"DIR/b.yml:2: pool 'b': listen: 127.0.0.1:1001 is taken already, by pool 'a' on line 4"},
		},
		"a cycle": {
			map[string]string{"main.yml": "nuthatch:\n  include: b.yml\n" + somePool("a", 1001), "b.yml": "nuthatch:\n  include: ../*/main.yml\n"},
			[]string{"DIR/b.yml:2: nuthatch.include: DIR/main.yml includes itself: DIR/main.yml > DIR/b.yml > "},
		},
		"a file twice": {
			map[string]string{"main.yml": "nuthatch:\n  include: [b.yml, ./b.yml]\n" + somePool("a", 1001), "b.yml": somePool("b", 1002)},
			[]string{"DIR/main.yml:2: nuthatch.include: DIR/b.yml is included already"},
		},
		"too deep": {deep, []string{"DIR/7.yml:2: nuthatch.include: files include each other more than 8 deep: DIR/main.yml > "}},
		"a list":   {map[string]string{"main.yml": "nuthatch:\n  include: b.yml\n" + somePool("a", 1001), "b.yml": "- x\n"}, []string{"DIR/b.yml:1: expected pools"}},
		"a block": {
			map[string]string{"main.yml": "nuthatch:\n  include: {b: c}\n" + somePool("a", 1001)},
			[]string{"DIR/main.yml:2: nuthatch.include: expected the path of a file"},
		},
		"a broken pattern": {
			map[string]string{"main.yml": "nuthatch:\n  include: 'b[.yml'\n" + somePool("a", 1001)},
			[]string{"DIR/main.yml:2: nuthatch.include: 'b[.yml': it is no pattern"},
		},
		"both": {
			map[string]string{"main.yml": "nuthatch:\n  include: b.yml\n" + somePool("a", 1001, "hash: x1"), "b.yml": somePool("b", 1002, "hash: x2")},
			[]string{"DIR/main.yml:6: pool 'a': hash", "DIR/b.yml:4: pool 'b': hash"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeTree(t, tt.files)
			cfg, err := Load(filepath.Join(dir, "main.yml"))
			if err == nil {
				t.Fatalf("it was accepted: %+v", cfg)
			}
			lines := strings.Split(strings.ReplaceAll(err.Error(), dir, "DIR"), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("faults %q, want %q", lines, tt.want)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("fault %q, want %q", lines[i], want)
				}
			}
		})
	}
}

// TestIncludeFromText: a text that somebody sent opens no files of this machine.
func TestIncludeFromText(t *testing.T) {
	_, err := Parse("preview", []byte("nuthatch:\n  include: /etc/passwd\n"+somePool("a", 1001)))
	if err == nil || !strings.HasPrefix(err.Error(), "preview:2: nuthatch.include: a configuration that is not read from a file includes none") {
		t.Errorf("error %v", err)
	}
}

// TestIncludeNothing: a pattern may match no file, which -t tells.
func TestIncludeNothing(t *testing.T) {
	dir := writeTree(t, map[string]string{"main.yml": "nuthatch:\n  include: conf.d/*.yml\n" + somePool("a", 1001, "timeout: 1s")})
	cfg, err := Load(filepath.Join(dir, "main.yml"))
	if err != nil || len(cfg.Warnings) != 1 || !strings.Contains(cfg.Warnings[0].Error(), "main.yml:2: nuthatch.include: no file matches 'conf.d/*.yml'") {
		t.Errorf("error %v, warnings %v", err, cfg.Warnings)
	}
}

// TestPoolDefaults: what a pool does not say comes from the defaults, block by block, unless
// it cannot have it.
func TestPoolDefaults(t *testing.T) {
	text := "nuthatch:\n  pool_defaults:\n    timeout: 400ms\n    redis: true\n    redis_auth: sesame\n    client_login_timeout: 5s\n    health_check:\n      interval: 2s\n      rise: 3\n" +
		somePool("a", 1001) +
		somePool("b", 1002, "timeout: 1s", "health_check: {rise: 4, fall: 5}", "redis_auth_file: /run/secret") +
		somePool("c", 1003, "redis: false")
	cfg, err := Parse("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := &cfg.Pools[0], &cfg.Pools[1], &cfg.Pools[2]
	if a.Timeout != 400*time.Millisecond || a.RedisAuth != "sesame" || a.Protocol != Redis || a.HealthCheck.Interval != 2*time.Second || a.HealthCheck.Rise != 3 {
		t.Errorf("a: %+v, want every default", a)
	}
	if b.Timeout != time.Second || b.RedisAuth != "" || b.HealthCheck.Interval != 2*time.Second || b.HealthCheck.Rise != 4 || b.HealthCheck.Fall != 5 {
		t.Errorf("b: %+v, want its own before the defaults", b)
	}
	if c.Protocol != Memcached || c.RedisAuth != "" || c.ClientLoginTimeout != 0 || c.MaxRequestSize != memcachedMaxRequest {
		t.Errorf("c: %+v, want no keys of Redis pools", c)
	}
	if got := cfg.SourceOf("b", "health_check.interval").String(); got != "f:8 (pool_defaults)" {
		t.Errorf("the interval is from %q", got)
	}
}

// TestPoolDefaultsFaults: a fault of the defaults is told once, for whichever pools.
func TestPoolDefaultsFaults(t *testing.T) {
	pools := somePool("a", 1001) + somePool("b", 1002)
	for lines, want := range map[string]string{
		"    hash: md6\n":                                      "f:3: nuthatch.pool_defaults.hash: unknown hash 'md6'",
		"    listen: 127.0.0.1:1\n":                            "f:3: nuthatch.pool_defaults.listen: each pool has its own",
		"    servers: [a:1:1]\n":                               "f:3: nuthatch.pool_defaults.servers: each pool has its own",
		"    timeoutt: 1\n":                                    "f:3: nuthatch.pool_defaults.timeoutt: unknown key; did you mean 'timeout'?",
		"    threads: 1\n":                                     "f:3: nuthatch.pool_defaults.threads: unknown key",
		"    health_check: {interval: 1ms}\n":                  "f:3: pool 'a': health_check.interval: expected 0 (no checks), or 10ms or more",
		"    health_check: {rise: 2}\n":                        "f:3: pool 'a': health_check: there are no health checks without 'interval'",
		"    timeout: 1\n    timeout: 2\n":                     "f:4: nuthatch.pool_defaults.timeout: given twice; the first is on line 3",
		"    redis_db: 3\n    databases: 2\n    redis: true\n": "f:3: pool 'a': redis_db: database 3 is not one of the 2",
	} {
		_, err := Parse("f", []byte("nuthatch:\n  pool_defaults:\n"+lines+pools))
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want one fault %q", lines, err, want)
		}
	}
	_, err := Parse("f", []byte(faultyDefaults))
	if err == nil || err.Error() != faultyDefaultsTold {
		t.Errorf("a block with several faults:\n%v\nwant:\n%s", err, faultyDefaultsTold)
	}
	for _, empty := range []string{"nuthatch:\n  pool_defaults:\n", "nuthatch:\n  pool_defaults: x\n", "nuthatch:\n  pool_defaults: [a]\n"} {
		if _, err := Parse("f", []byte(empty+pools)); err == nil || !strings.HasPrefix(err.Error(), "f:2: nuthatch.pool_defaults: expected keys of its own: ") {
			t.Errorf("%q: %v", empty, err)
		}
	}
}

// TestOneWayToWriteTime: keys of nutcracker take durations, and its own plain milliseconds.
func TestOneWayToWriteTime(t *testing.T) {
	for text, want := range map[string]string{"400": "400ms", "1500": "1.5s", "2s": "2s", "1m30s": "1m30s", "0": "0"} {
		cfg, err := Parse("f", []byte(somePool("a", 1001, "timeout: "+text, "server_retry_timeout: "+text)))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for _, s := range PoolSettings(&cfg.Pools[0]) {
			if (s.Key == "timeout" || s.Key == "server_retry_timeout") && s.Value != want {
				t.Errorf("%s: %s is shown as %s, want %s", text, s.Key, s.Value, want)
			}
		}
	}
	for lines, want := range map[string]string{
		"request_timeout: 400":    "a time needs a unit: 400ms or 400s",
		"timeout: 1us":            "found '1us'",
		"max_request_size: 10 MB": "; write 10mb",
		"max_request_size: 1GiB":  "; write 1gb",
	} {
		if _, err := Parse("f", []byte(somePool("a", 1001, lines))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", lines, err, want)
		}
	}
	if _, err := Parse("f", []byte("nuthatch:\n  ready_servers: 50%\n"+somePool("a", 1001))); err == nil || !strings.Contains(err.Error(), "; write 50") {
		t.Errorf("50%%: %v", err)
	}
}

// TestSeveralFilesInDocs loads the example of a file that includes another.
func TestSeveralFilesInDocs(t *testing.T) {
	doc := string(readTestFile(t, docPath))
	files := make(map[string]string)
	for _, m := range regexp.MustCompile("(?s)```yaml\n# (\\S+\\.yml): .*?\n(.*?)```").FindAllStringSubmatch(doc, -1) {
		files[m[1]] = m[2]
	}
	cfg, err := Load(filepath.Join(writeTree(t, files), "main.yml"))
	if err != nil {
		t.Fatalf("%v in %q", err, files)
	}
	p := cfg.Pools[0]
	if p.Timeout != 400*time.Millisecond || p.HealthCheck.Interval != 2*time.Second || p.HealthCheck.Fall != 5 {
		t.Errorf("the pool is %+v", p)
	}
}

// TestTextOf: a file that includes others is sent as one text, with the same meaning.
func TestTextOf(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"main.yml": "nuthatch:\n  threads: 2\n  include: b.yml\n" + somePool("a", 1001),
		"b.yml":    "nuthatch:\n  pool_defaults: {timeout: 2s}\n" + somePool("b", 1002, `hash_tag: "{}"`),
	})
	text, err := TextOf(filepath.Join(dir, "main.yml"))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := Parse("sent", text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if len(cfg.Pools) != 2 || cfg.Pools[0].Timeout != 2*time.Second || cfg.Pools[1].HashTag != "{}" || cfg.Process.Threads != 2 || strings.Contains(string(text), dir) {
		t.Errorf("the text is\n%s", text)
	}
	if text, err = TextOf(filepath.Join(dir, "b.yml")); err != nil || !strings.HasPrefix(string(text), "nuthatch:\n  pool_defaults: {timeout") {
		t.Errorf("a file that includes nothing is sent as %q, %v", text, err)
	}
	writeFile(t, filepath.Join(dir, "b.yml"), []byte("- x\n"))
	if _, err = TextOf(filepath.Join(dir, "main.yml")); err == nil || !strings.Contains(err.Error(), "b.yml:1: expected pools") {
		t.Errorf("the fault of an included file is %v", err)
	}
}

// A fault of the defaults hides no other, and what is sound of them holds.
const (
	faultyDefaults = `nuthatch:
  pool_defaults:
    listen: 127.0.0.1:1
    redis: true
    timeout: soon
    nope: 1
    health_check: {rise: 3, foo: 1}
  threads: x
a:
  listen: 127.0.0.1:1001
  servers: [127.0.0.1:1:1]
  redis_db: 2
  hash: md6
b:
  redis_db: 3
  servers: [127.0.0.1:1:1]
`
	faultyDefaultsTold = `f:3: nuthatch.pool_defaults.listen: each pool has its own
f:5: nuthatch.pool_defaults.timeout: expected a duration such as 400ms, or milliseconds without a unit, 0 or more, found 'soon'
f:6: nuthatch.pool_defaults.nope: unknown key; nuthatch.yml(5) and CONFIGURATION.md have all keys
f:7: nuthatch.pool_defaults.health_check.foo: unknown key, expected one of interval, timeout, rise, fall
f:8: nuthatch.threads: expected a whole number from 1 to 64, found 'x'
f:13: pool 'a': hash: unknown hash 'md6', expected one of one_at_a_time, md5, crc16, crc32, crc32a, fnv1_64, fnv1a_64, fnv1_32, fnv1a_32, hsieh, murmur, jenkins; did you mean 'md5'?
f:14: pool 'b': listen: missing; every pool needs it (address)`
)
