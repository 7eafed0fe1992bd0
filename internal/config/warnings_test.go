package config

import (
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	const ours = "nuthatch:\n  threads: 1\n"
	tests := []struct {
		name, lines, more string
		want              []string // a part of each, by line
	}{
		{"nothing", "timeout: 400", "", nil},
		{"a limit that nutcracker ignored", "client_connections: 2", "", []string{"a.yml:4: pool 'a': client_connections: nutcracker ignores this key, nuthatch enforces it: the pool accepts at most 2"}},
		{"a large one of a file for nutcracker", "client_connections: 20000", "", []string{"at most 20000"}},
		{"a large one of a file of ours", "client_connections: 20000", ours, nil},
		{"a pool with a key of ours", "client_connections: 20000\n  max_keys: 5", "", nil},
		{"a small one of a file of ours", "client_connections: 2", ours, []string{"at most 2"}},
		{"no limit", "client_connections: 0", "", nil},
		{"a password", "redis: true\n  redis_auth: ${REDIS_PASSWORD}", "", []string{"a.yml:5: pool 'a': redis_auth: the value looks like a variable"}},
		{"a password with a dollar", "redis: true\n  redis_auth: $ecret", "", nil},
		{"a server", "listen: 127.0.0.1:2\n  servers: ['${HOST}:6379:1 one', '10.0.0.1:6379:1 two']", "", []string{"servers: '${HOST}:6379:1 one' looks like a variable"}},
		{"a template", "redis: true\n  redis_auth: '{{ password }}'", "", []string{"redis_auth"}},
		{"a shell's", "listen: $LISTEN:22121\n  servers: ['10.0.0.1:6379:1']", "", []string{"listen: '$LISTEN' looks"}},
		{"a command's", "servers: ['10.0.0.1:6379:1 $(hostname)']\n  listen: 127.0.0.1:2", "", []string{"servers: '10.0.0.1:6379:1 $(hostname)' looks"}},
		{"a hash tag", "hash_tag: '$a'", "", nil},
		{"braces", "hash_tag: '{}'", "", nil},
		{"the process's", "", "nuthatch:\n  admin_token_file: /run/${NAME}/token\n", []string{"nuthatch.admin_token_file: '/run/${NAME}/token' looks"}},
		{"the token", "", "nuthatch:\n  admin_token: ${TOKEN}\n", []string{"nuthatch.admin_token: the value looks"}},
		{"its own server", "listen: 127.0.0.1:6379\n  servers: ['127.0.0.1:6379:1 me', '10.0.0.1:6379:1']", "", []string{"servers: 127.0.0.1:6379 is where the pool itself listens"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines := tt.lines
			if !strings.Contains(lines, "listen:") {
				lines = "listen: 127.0.0.1:1\n  servers: ['10.0.0.1:6379:1']\n  " + lines
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
