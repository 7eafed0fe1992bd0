package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTestConfOfAStart: -t refuses what a start would refuse, with the same arguments,
// and warns of what may be meant otherwise.
func TestTestConfOfAStart(t *testing.T) {
	dir := t.TempDir()
	file, empty := filepath.Join(dir, "file"), filepath.Join(dir, "empty")
	for _, path := range []string{file, empty} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const servers = "  servers:\n   - 127.0.0.1:6379:1\n"
	pool := func(name, listen string) string { return name + ":\n  listen: " + listen + "\n" + servers }
	good := pool("alpha", "127.0.0.1:22121")
	tests := []struct {
		name, conf string
		args       []string
		status     int
		want       string // a part of what is said
	}{
		{"the admin listener at a pool's address", good + "nuthatch:\n  admin: 127.0.0.1:22121\n", nil, 1, "nuthatch.admin: 127.0.0.1:22121 is taken already"},
		{"at every address of its port", good + "nuthatch:\n  admin: 0.0.0.0:22121\n  admin_insecure: true\n", nil, 1, "taken already, by pool 'alpha'"},
		{"two pools", good + pool("beta", "0.0.0.0:22121"), nil, 1, "taken already, by pool 'alpha'"},
		{"two sockets", pool("alpha", dir+"/s") + pool("beta", dir+"/./s"), nil, 1, "taken already, by pool 'alpha'"},
		{"a file in the place of the socket for actions", good + "nuthatch:\n  admin_socket: " + file + "\n", nil, 1, "socket for actions: listen on"},
		{"the statistics socket and that for actions", good + "nuthatch:\n  admin_socket: " + dir + "/s\n", []string{"-a", dir + "/s"}, 1, "by the admin listener"},
		{"no token", good + "nuthatch:\n  admin_token_file: " + dir + "/none\n", nil, 1, "admin_token_file: open " + dir + "/none: no such file"},
		{"an empty token", good + "nuthatch:\n  admin_token_file: " + empty + "\n", nil, 1, "the file holds no token"},
		{"the statistics port", good, []string{"-s", "22121"}, 1, "statistics port: 0.0.0.0:22121 is taken already, by pool 'alpha'"},
		{"the statistics port at another address", good, []string{"-s", "22121", "-a", "127.0.0.2"}, 0, "syntax is ok"},
		{"the statistics port and the admin listener", good + "nuthatch:\n  admin: 127.0.0.1:22122\n", []string{"-s", "22122", "-a", "127.0.0.1"}, 1, "by the admin listener"},
		{"the statistics socket", pool("alpha", dir+"/s"), []string{"-a", dir + "/s"}, 1, "statistics port: " + dir + "/s is taken already"},
		{"a statistics address that is none", good, []string{"-a", "300.1.1.1"}, 1, "statistics port: listen on '300.1.1.1:22222'"},
		{"the default statistics port", pool("alpha", "127.0.0.1:22222"), nil, 0, "warning: statistics port: 0.0.0.0:22222 is taken already"},
		{"a file in a socket's place", pool("alpha", file), nil, 1, "it is not a socket"},
		{"a folder that may come", pool("alpha", dir+"/none/s"), nil, 0, "': the socket's directory is not there: make " + dir + "/none first, if nothing makes it at the start\n"},
		{"a folder that is not there now", pool("alpha", dir+"/none/s"), nil, 0, ": the file is valid, but a proxy would not start with it as things are: see the warnings\n"},
		{"no folder for the log", good, []string{"-o", dir + "/none/log"}, 1, "log file: stat " + dir + "/none: no such file"},
		{"no folder for the pid file", good, []string{"-p", dir + "/none/pid"}, 1, "pid file: stat"},
		{"a folder in the pid file's place", good, []string{"-p", dir}, 1, "pid file: " + dir + " is a directory"},
		{"a folder in the log's place", good, []string{"-o", dir}, 1, "log file: " + dir + " is a directory"},
		{"a file in the place of the log's folder", good, []string{"-o", file + "/log"}, 1, "log file: " + file + " is not a directory"},
		{"a variable", "alpha:\n  listen: 127.0.0.1:22121\n  redis: true\n  redis_auth: ${PASSWORD}\n" + servers, nil, 0, "warning: FILE:4: pool 'alpha': redis_auth: the value looks like a variable"},
		{"a limit that nutcracker ignored", "alpha:\n  listen: 127.0.0.1:22121\n  client_connections: 2\n" + servers, nil, 0, "warning: FILE:3: pool 'alpha': client_connections"},
	}
	for _, tt := range tests {
		for _, program := range []string{nuthatch, nutcracker} {
			t.Run(tt.name+", "+program, func(t *testing.T) {
				path := writeConf(t, tt.conf)
				got := runAs(t, program, append([]string{"-t", "-c", path}, tt.args...)...)
				text := strings.ReplaceAll(got.stderr, path, "FILE")
				if got.status != tt.status || !strings.Contains(text, tt.want) {
					t.Errorf("status %d and\n%swant %d and %q", got.status, text, tt.status, tt.want)
				}
				verdict := program + ": configuration file 'FILE' syntax is ok\n"
				if ok := strings.HasPrefix(text, verdict); ok != (tt.status == 0) {
					t.Errorf("status %d and\n%s", got.status, text)
				}
			})
		}
	}
}
