package daemon

import (
	"math"
	"testing"
	"testing/fstest"

	"nuthatch/internal/testkit"
)

func TestGroupLimit(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  int64
	}{
		"none": {fstest.MapFS{}, math.MaxInt64},
		"version 2": {fstest.MapFS{
			"proc/self/cgroup": file("0::/system.slice/nuthatch.service\n"),
			"sys/fs/cgroup/system.slice/nuthatch.service/memory.max": file("2147483648\n"),
			"sys/fs/cgroup/system.slice/memory.max":                  file("max\n"),
		}, 2 << 30},
		"a group around it has less": {fstest.MapFS{
			"proc/self/cgroup":             file("0::/a/b\n"),
			"sys/fs/cgroup/a/b/memory.max": file("2147483648\n"),
			"sys/fs/cgroup/a/memory.max":   file("1073741824\n"),
		}, 1 << 30},
		"version 1, in a container": {fstest.MapFS{
			"proc/self/cgroup":                           file("8:pids:/\n4:memory:/docker/0123\n3:cpuset:/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("536870912\n"),
		}, 512 << 20},
		"no limit": {fstest.MapFS{
			"proc/self/cgroup":         file("0::/\n"),
			"sys/fs/cgroup/memory.max": file("max\n"),
		}, math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			if got := groupLimit(c.files); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}

// Limits take effect on clients that are there already.
func TestReloadLimits(t *testing.T) {
	server := testkit.StartRedis(t)
	listen := testkit.FreeAddr(t)
	names := testkit.Names(server)
	s := startStage(t, pool("alpha", listen, names), server)
	if m := s.resources.Memory(); m.Limit <= 0 || m.Soft <= 0 || m.Hard <= m.Soft || m.Limit <= m.Hard {
		t.Errorf("without max_memory: %+v", m)
	}
	if d := s.resources.Descriptors(); d == nil || d.Clients <= 0 {
		t.Errorf("descriptors: %+v", d)
	}
	c, idle := testkit.Dial(t, testkit.Redis, listen), testkit.Dial(t, testkit.Redis, listen)
	c.Do("MSET", "a", "1", "b", "2")
	idle.Do("PING")
	s.process = "  max_memory: 4gb\n"
	s.mustReload(pool("alpha", listen, names, "max_keys: 1", "client_connections: 1"))
	if m := s.resources.Memory(); m.Limit != 4<<30 {
		t.Errorf("with max_memory: %+v", m)
	}
	if got, want := c.Do("MGET", "a", "b"), "-ERR too many keys in one request\r\n"; got != want {
		t.Errorf("max_keys: %q, want %q", got, want)
	}
	if got, want := testkit.Dial(t, testkit.Redis, listen).ExpectEnd(), "-ERR max number of clients reached\r\n"; got != want {
		t.Errorf("client_connections: %q, want %q", got, want)
	}
	s.mustReload(pool("alpha", listen, names, "client_idle_timeout: 100ms"))
	if got := idle.ExpectEnd(); got != "" {
		t.Errorf("client_idle_timeout: %q", got)
	}
}
