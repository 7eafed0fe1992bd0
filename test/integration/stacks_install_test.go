package integration

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// laterSuite is the Debian release of which the tests use clients that are newer than those of
// the release that they run on.
const laterSuite = "trixie"

// laterPackages are these clients, and what they need that is newer too.
var laterPackages = []string{"python3-redis", "ruby-sidekiq", "ruby-redis-client", "ruby-connection-pool", "ruby-concurrent"}

// unpackTime is longer than the lists of a whole release need from a slow mirror, and than npm
// needs for its clients on a busy machine.
const unpackTime = 5 * time.Minute

// unpackingLater is held by who unpacks them.
var unpackingLater sync.Mutex

// unpackLater unpacks them where they are missing, and returns the folder. Nothing is
// installed.
func unpackLater(t *testing.T) string {
	t.Helper()
	unpackingLater.Lock()
	defer unpackingLater.Unlock()
	dir, err := filepath.Abs("../clients/" + laterSuite)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		commandWithin(t, unpackTime, "", "../../.ci/apt-unpack", append([]string{dir, laterSuite}, laterPackages...)...)
	} else if err != nil {
		t.Fatal(err)
	}
	return dir
}

// laterRuby is an environment in which Ruby finds them, and the folder of the gem sidekiq.
func laterRuby(t *testing.T) (env, sidekiq string) {
	t.Helper()
	gems := unpackLater(t) + "/usr/share/rubygems-integration/all/gems/"
	var libs []string
	for _, pattern := range []string{"sidekiq-*/lib", "redis-client-*/lib", "connection_pool-*/lib", "concurrent-ruby-*/lib/concurrent-ruby"} {
		found, err := filepath.Glob(gems + pattern)
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %q, %v", pattern, found, err)
		}
		libs = append(libs, found[0])
	}
	return "RUBYLIB=" + strings.Join(libs, ":"), filepath.Dir(libs[0])
}

// laterPython is an environment in which Python finds the later clients.
func laterPython(t *testing.T) []string {
	t.Helper()
	return []string{"PYTHONPATH=" + unpackLater(t) + "/usr/lib/python3/dist-packages"}
}
