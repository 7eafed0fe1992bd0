package admin

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"nuthatch/internal/config"
)

// Settings in blocks, lists of blocks and maps are written as a file has them.
func TestSettingsAreWrittenInBlocks(t *testing.T) {
	at := func(value string, path ...string) config.Setting {
		return config.Setting{Value: value, Path: path}
	}
	var b strings.Builder
	writeSettings(&b, []config.Setting{
		at("1", "threads"),
		at("2s", "check", "interval"), at("", "check", "timeout"), at("3", "check", "rise"),
		at("a", "list", "[0]", "address"), at("5", "list", "[0]", "weight"), at("b", "list", "[1]", "address"),
		at("9", "list", "[1]", "inner", "deep"),
		at("x", "users", "al: ice", "homes", "[0]", "at"), at("y", "users", "al: ice", "homes", "[1]", "at"),
		at("z", "users", "bob", "limit"),
		at("true", "last"),
	}, func(string) string { return "" })
	want := `  threads: 1
  check:
    interval: 2s
    rise: 3
  list:
    - address: a
      weight: 5
    - address: b
      inner:
        deep: 9
  users:
    "al: ice":
      homes:
        - at: x
        - at: y
    bob:
      limit: z
  last: true
`
	if b.String() != want {
		t.Errorf("written as\n%swant\n%s", &b, want)
	}
	if err := yaml.Unmarshal([]byte(b.String()), &struct{}{}); err != nil {
		t.Error(err)
	}
}

// What is shown as the configuration in force can be read again, with its blocks.
func TestTextCanBeReadAgain(t *testing.T) {
	conf, err := config.Parse("f.yml", []byte("p:\n  listen: 127.0.0.1:1\n  servers: [\"127.0.0.1:2:1 one\"]\n  health_check: {interval: 2s, rise: 7}\n"+
		"nuthatch:\n  threads: 3\n  tracing: {sample: 9}\n"))
	if err != nil {
		t.Fatal(err)
	}
	text := textOf(conf)
	again, err := config.Parse("again.yml", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	for _, want := range []string{"  listen: 127.0.0.1:1  # f.yml:2\n", "    rise: 7  # f.yml:4\n", "  threads: 3  # f.yml:6\n", "    sample: 9  # f.yml:7\n", "  backlog: 512  # default\n", "  servers:  # f.yml:3\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if got := config.PoolChanges(&conf.Pools[0], &again.Pools[0]); len(got) > 0 {
		t.Errorf("what is read again differs: %v", got)
	}
}
