package config

import (
	"strings"
	"testing"
)

// What may be a secret that stands in the wrong place is in no fault, which names the key to use.
func TestFaultsTellNoSecret(t *testing.T) {
	for line, want := range map[string]string{
		"servers: ['redis://u:SEKRET99@127.0.0.1:6379:1 one']":    "server_password",
		"servers: ['redis://:SEKRET99@127.0.0.1:6379']":           "server_password",
		"servers: ['rediss://SEKRET99@h:6379/0:1 one']":           "server_password",
		"servers: ['u:SEKRET99@127.0.0.1:6379:1']":                "server_password",
		"servers: ['SEKRET99@host:6379:1']":                       "server_password",
		"servers: ['redis://:SEKRET99@@h:6379:x']":                "server_password",
		"sentinels: ['redis://:SEKRET99@1.1.1.1:1']":              "sentinel_password",
		"sentinels: ['SEKRET99@1.1.1.1']":                         "sentinel_password",
		"listen: redis://:SEKRET99@127.0.0.1:6379":                "without a URL",
		"listen: SEKRET99@127.0.0.1:6379":                         "without a URL",
		"listen: u:SEKRET99@127.0.0.1:0":                          "without a URL",
		"redis_auth_file: SEKRET99":                               "redis_auth_file: expected the absolute path",
		"redis_auth_file: some/SEKRET99":                          "redis_auth_file: expected the absolute path",
		"redis_auth_env: 'SEKRET99 x'":                            "redis_auth_env: expected the name of an environment variable",
		"users: {a: {rules: on, password_file: SEKRET99}}":        "password_file: expected the absolute path",
		"tls: {cert: /c, key: /k, key_password_file: SEKRET99}":   "key_password_file: expected the absolute path",
		"tls: {cert: /c, key: /k, key_password_env: 'SEKRET99 '}": "key_password_env: expected the name",
		"timeout: 'redis://u:SEKRET99@h'":                         "timeout: expected",
	} {
		text := "p:\n  redis: true\n  " + line + "\n"
		for key, rest := range map[string]string{"listen": "127.0.0.1:1", "servers": "[127.0.0.1:2:1]"} {
			if !strings.HasPrefix(line, key+":") {
				text += "  " + key + ": " + rest + "\n"
			}
		}
		_, err := Parse("f", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SEKRET99") {
			t.Errorf("%s: %v, want %q in it", line, err, want)
		}
	}
}
