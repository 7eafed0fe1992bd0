package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/testkit"
)

// TestIncludedFiles: a reload and the watch see a file that a pattern matches, changes of it,
// defaults of pools, and a file that a refused configuration includes.
func TestIncludedFiles(t *testing.T) {
	server := testkit.StartRedis(t)
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "n.yml")
	main := func(process string) string {
		return "nuthatch:\n  watch: true\n" + process + pool("alpha", testkit.FreeAddr(t), testkit.Names(server))
	}
	first := main("  include: '*.pool'\n")
	write("n.yml", first)
	conf, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	in, err := Start(Options{Config: conf, ConfigFile: file, LogFile: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Stop)
	await := func(want ...string) {
		t.Helper()
		testkit.Await(t, "the change to be in force", func() error {
			var got []string
			for _, p := range in.current.Load().conf.Pools {
				got = append(got, fmt.Sprintf("%s %v", p.Name, p.Timeout))
			}
			if strings.Join(got, ", ") != strings.Join(want, ", ") {
				return fmt.Errorf("the pools are %v", got)
			}
			return nil
		})
	}
	await("alpha 0s")
	beta := pool("beta", testkit.FreeAddr(t), testkit.Names(server))
	write("b.pool", beta) // a new file that the pattern matches
	await("beta 0s", "alpha 0s")
	write("b.pool", beta+"nuthatch:\n  pool_defaults:\n    timeout: 7s\n")
	await("beta 7s", "alpha 7s")
	write("n.yml", strings.Replace(first, "'*.pool'", "['*.pool', 'other']", 1))
	testkit.Await(t, "the refusal", func() error {
		if in.Events().Count(events.ReloadRefused) == 0 {
			return fmt.Errorf("no reload was refused")
		}
		return nil
	})
	write("other", pool("gamma", testkit.FreeAddr(t), testkit.Names(server))) // and now it is there
	await("beta 7s", "alpha 7s", "gamma 7s")
}
