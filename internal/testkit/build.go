package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"nuthatch/internal/invariant"
)

// binaryEnv names a ready nuthatch to test instead of building one, for example
// the release build. It may also be nutcracker, to check the tests themselves:
// then all must pass but those of intended differences.
const binaryEnv = "NUTHATCH_BIN"

// build is nuthatch's binary, made at most once per test binary.
var build struct {
	once sync.Once
	dir  string // set by Main, removed by it
	path string
	err  error
}

// Main runs a package's tests and then removes the nuthatch that they built. A
// package that starts nuthatch has
//
//	func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }
func Main(m *testing.M) int {
	if program := os.Getenv(filterEnv); program != "" {
		fmt.Fprintln(os.Stderr, runFiltered(program))
		return 1
	}
	if addrs := os.Getenv(stopwatchEnv); addrs != "" {
		if err := runStopwatch(strings.Fields(addrs)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	dir, err := os.MkdirTemp("", "nuthatch-test")
	if err != nil {
		panic(err)
	}
	build.dir = dir
	defer func() { _ = os.RemoveAll(dir) }()
	return m.Run()
}

// Binary returns the path of nuthatch, built on first use from this module as the
// test is: with the invariants tag if that has it, and with -race, both without the
// compiler's profile. Else it is what is released.
func Binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(binaryEnv); path != "" {
		return path
	}
	if build.dir == "" {
		t.Fatal("testkit: the package's TestMain must call testkit.Main")
	}
	build.once.Do(func() { build.path, build.err = buildBinary(build.dir) })
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.path
}

func buildBinary(dir string) (string, error) {
	path := filepath.Join(dir, "nuthatch")
	args := []string{"build", "-o", path}
	if invariant.On {
		args = append(args, "-pgo=off", "-tags", "invariants")
	}
	if raceBuild {
		args = append(args, "-pgo=off", "-race")
	}
	out, err := exec.Command("go", append(args, "nuthatch/cmd/nuthatch")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building nuthatch: %w\n%s", err, out)
	}
	return path, nil
}
