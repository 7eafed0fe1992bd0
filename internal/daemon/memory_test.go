package daemon

import (
	"math"
	"testing"
	"testing/fstest"
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
