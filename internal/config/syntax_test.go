package config

import (
	"strings"
	"testing"
)

// TestYAMLIsExplained: what YAML has and a configuration does not, and what must be quoted.
func TestYAMLIsExplained(t *testing.T) {
	const pool = "  listen: 127.0.0.1:1\n  servers: [10.0.0.1:6380:1]\n"
	for text, want := range map[string]string{
		"a:\n" + pool + "\ttimeout: 400\n":                    "f:4: YAML: found character that cannot start any token; the line is indented with a tab: indent with spaces",
		"a:\n" + pool + "  redis_auth: @x\n":                  "f:4: YAML: found character that cannot start any token; a value that begins with '@' or '`' must be quoted",
		"pool_defaults:\n  redis: true\na:\n" + pool:          "f:1: pool_defaults: no pool, but a process-wide setting: indent it below the top-level name 'nuthatch'",
		"include: more.yml\na:\n" + pool:                      "f:1: include: no pool, but a process-wide setting: indent it below the top-level name 'nuthatch'",
		"a: &d\n" + pool + "b:\n  <<: *d\n":                   "pool 'b': <<: YAML's merge keys are not supported: repeat the settings, or say them once in 'nuthatch: pool_defaults'",
		"a: &d\n" + pool:                                      "YAML anchors are not supported: repeat the settings where they are needed, or say them once in 'nuthatch: pool_defaults'",
		"a:\n" + pool + "  health_check: &h\n    rise: 2\n":   "YAML anchors are not supported: repeat the settings where they are needed, or say them once in 'nuthatch: pool_defaults'",
		"a:\n" + pool + "  redis: true\n  redis_auth: &x y\n": "YAML anchors are not supported; quote a value that begins with '&'",
	} {
		if _, err := Parse("f", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
