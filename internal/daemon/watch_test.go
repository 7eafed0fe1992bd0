package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/testkit"
)

// TestWatch changes the file in the ways that it is changed in.
func TestWatch(t *testing.T) {
	server := testkit.StartRedis(t)
	listen := testkit.FreeAddr(t)
	text := func(timeout int) []byte {
		return []byte(pool("alpha", listen, testkit.Names(server), fmt.Sprintf("timeout: %d", timeout)) +
			"nuthatch:\n  watch: true\n")
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// A mounted ConfigMap: the file leads through "..data", which is swapped.
	dir := t.TempDir()
	for i := range 3 {
		must(os.Mkdir(filepath.Join(dir, fmt.Sprintf("..%d", i)), 0o700))
		must(os.WriteFile(filepath.Join(dir, fmt.Sprintf("..%d", i), "n.yml"), text(1000+i), 0o600))
	}
	swap := func(i int) {
		must(os.Symlink(fmt.Sprintf("..%d", i), filepath.Join(dir, "..tmp")))
		must(os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")))
	}
	swap(0)
	file := filepath.Join(dir, "n.yml")
	must(os.Symlink("..data/n.yml", file))

	conf, err := config.Load(file)
	must(err)
	in, err := Start(Options{Config: conf, ConfigFile: file, LogFile: filepath.Join(t.TempDir(), "log")})
	must(err)
	t.Cleanup(in.Stop)
	await := func(timeout int64) {
		t.Helper()
		testkit.Await(t, "the change to be in force", func() error {
			if got := in.current.Load().conf.Pools[0].Timeout.Milliseconds(); got != timeout {
				return fmt.Errorf("the timeout is %d", got)
			}
			return nil
		})
	}
	swap(1)
	await(1001)
	must(os.WriteFile(filepath.Join(dir, "..1", "n.yml"), text(2000), 0o600)) // in place
	await(2000)
	swap(2)
	await(1002)
	must(os.WriteFile(filepath.Join(dir, "next"), text(3000), 0o600)) // a plain file takes its place
	must(os.Rename(filepath.Join(dir, "next"), file))
	await(3000)

	must(os.WriteFile(file, []byte(string(text(4000))+"nuthatch: {}\n"), 0o600)) // at fault: nothing happens
	must(os.WriteFile(file, text(5000), 0o600))
	await(5000)
	must(os.WriteFile(file, []byte(pool("alpha", listen, testkit.Names(server))), 0o600)) // watch: false
	await(0)
	testkit.Await(t, "the watch to end", func() error {
		in.watcher.mu.Lock()
		defer in.watcher.mu.Unlock()
		if in.watcher.cancel != nil {
			return errors.New("it goes on")
		}
		return nil
	})
}
