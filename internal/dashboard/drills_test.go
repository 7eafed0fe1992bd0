package dashboard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/ctl"
	"nuthatch/internal/testkit"
)

// The drills: something goes wrong, as it does in production, and what a person reads on the
// page, in `nuthatch ctl status` and in the log names the cause in words.

// A drilled proxy has clients that ask for all keys, and a page that somebody looks at.
type drilled struct {
	t     *testing.T
	proxy *testkit.Proxy
	url   string
	tab   *tab
}

// drill starts a proxy over servers of Redis, by their lines in the configuration. more are
// lines of the pool.
func drill(t *testing.T, entries []string, more ...string) *drilled {
	t.Helper()
	d := quietDrill(t, entries, more...)
	load(t, d.proxy.Addr())
	return d
}

// quietDrill is drill without clients.
func quietDrill(t *testing.T, entries []string, more ...string) *drilled {
	t.Helper()
	admin := testkit.FreeAddr(t)
	yaml := fmt.Sprintf("pool:\n  listen: %s\n  redis: true\n  hash: fnv1a_64\n", testkit.ListenToken)
	if !slices.ContainsFunc(more, func(line string) bool { return strings.HasPrefix(line, "timeout:") }) {
		more = append(more, "timeout: 300")
	}
	for _, line := range more {
		yaml += "  " + line + "\n"
	}
	yaml += "  servers:\n"
	for _, e := range entries {
		yaml += "   - " + e + "\n"
	}
	yaml += fmt.Sprintf("nuthatch:\n  admin: %s\n  threads: 1\n", admin)
	d := &drilled{t: t, proxy: testkit.StartNuthatch(t, yaml), url: "http://" + admin}
	d.tab = open(t, d.url, 1440, "light")
	d.tab.await("the page", `document.querySelector("#pulse").textContent === "live"`)
	return d
}

// redisServers are n, with their lines.
func redisServers(t *testing.T, n int, args ...string) (servers []*testkit.Server, entries []string) {
	t.Helper()
	for i := range n {
		s := testkit.StartRedis(t, args...)
		servers, entries = append(servers, s), append(entries, s.Entry(fmt.Sprint("s", i)))
	}
	return servers, entries
}

// reads waits until each place has all of its words, in one line of the status and of the
// log, and in one row of what needs a look on the page. How soon that must be is asserted where
// the test has the clock: TestCausesAreToldWithinFiveSeconds of admin, and the tests of edges.
func (d *drilled) reads(page, status, log []string) {
	d.t.Helper()
	began := time.Now()
	defer func() { d.t.Logf("read in all three places after %v", time.Since(began).Round(time.Millisecond)) }()
	d.tab.await("the page says "+strings.Join(page, ", "), fmt.Sprintf(
		`[...document.querySelectorAll(".trouble li")].some((e) => %s.every((w) => e.textContent.includes(w)))`, jsList(page)))
	client, err := ctl.NewClient(ctl.Target{Address: d.url})
	if err != nil {
		d.t.Fatal(err)
	}
	testkit.Await(d.t, "ctl status says it", func() error {
		var out bytes.Buffer
		if err := ctl.Run(context.Background(), client, ctl.Options{}, []string{"status"}, &out); err != nil && !errors.Is(err, ctl.ErrFails) {
			return err
		}
		return lineWith(out.String(), status)
	})
	testkit.Await(d.t, "the log says it", func() error {
		text, err := os.ReadFile(d.proxy.Log)
		if err != nil {
			return err
		}
		return lineWith(string(text), log)
	})
}

func jsList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	return "[" + strings.Join(quoted, ",") + "]"
}

// lineWith fails unless a line of the text has all words.
func lineWith(text string, words []string) error {
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return nil
		}
	}
	return fmt.Errorf("no line has all of %q:\n%s", words, text)
}

func TestDrillKilledServer(t *testing.T) {
	servers, entries := redisServers(t, 2)
	d := drill(t, entries)
	servers[0].Kill()
	d.reads([]string{"failing", "pool / s0", "Connection refused"}, []string{"server s0 (", "fails for", "Connection refused"},
		[]string{"server s0 (", "fails", "Connection refused"})
}

func TestDrillStoppedServer(t *testing.T) {
	servers, entries := redisServers(t, 2)
	d := drill(t, entries)
	servers[1].Pause()
	t.Cleanup(servers[1].Resume)
	const cause = "Connection timed out: it accepts connections and does not answer; does it hang?"
	d.reads([]string{"failing", "pool / s1", cause, "waited in vain"}, []string{"server s1 (", "fails for", cause},
		[]string{"server s1 (", "fails: " + cause, "unanswered="})
}

func TestDrillWrongPassword(t *testing.T) {
	_, entries := redisServers(t, 2, "--requirepass", "right")
	d := drill(t, entries, "server_password: wrong") // clients need none
	const cause = "it refuses the pool's password (server_password)"
	d.reads([]string{"failing", "pool / s0", cause}, []string{"server s0 (", cause}, []string{"server s0 (", cause})
}

func TestDrillClientsWithoutLogin(t *testing.T) {
	_, entries := redisServers(t, 1)
	d := quietDrill(t, entries, "redis_auth: unknown_to_them")
	paced(t, d.proxy.Addr(), 5*time.Millisecond)
	const cause = "have not logged in, and their requests are refused (NOAUTH)"
	d.reads([]string{"no login", "pool", cause}, []string{"pool", cause}, []string{"pool=pool", cause})
}

func TestDrillNameThatDoesNotResolve(t *testing.T) {
	_, entries := redisServers(t, 1)
	d := drill(t, append(entries, "cache-7.invalid:6379:1 lost"))
	d.reads([]string{"pool / lost", "its name cannot be resolved"}, []string{"server lost (cache-7.invalid", "its name cannot be resolved"},
		[]string{"cache-7.invalid", "cannot be resolved"})
}

func TestDrillTLSServerBehindAPlainPool(t *testing.T) {
	_, entries := redisServers(t, 1)
	_, secured := securedServer(t)
	d := drill(t, append(entries, secured))
	const cause = "it accepts connections and closes them without an answer; does it want TLS (server_tls)?"
	d.reads([]string{"failing", "pool / secured", cause}, []string{"server secured (", cause}, []string{"server secured (", cause})
}

// securedServer is a redis-server that speaks TLS alone.
func securedServer(t *testing.T) (s *testkit.Scripted, entry string) {
	t.Helper()
	// What a server with TLS does with bytes that are no handshake: it closes.
	s = testkit.StartScripted(t, func(k *testkit.Talk) {
		if _, ok := k.Line(); ok {
			k.Close()
		}
	})
	return s, testkit.Entry(s.Addr(), 1, "secured")
}

func TestDrillMemcachedBehindARedisPool(t *testing.T) {
	_, entries := redisServers(t, 1)
	d := drill(t, append(entries, testkit.StartMemcached(t).Entry("m")))
	const cause = "its reply does not fit the request; is it a Memcached server"
	d.reads([]string{"failing", "pool / m", cause}, []string{"server m (", cause}, []string{"server m (", cause})
}

func TestDrillFullServer(t *testing.T) {
	_, entries := redisServers(t, 1)
	full := testkit.StartRedis(t, "--maxmemory", "1kb", "--maxmemory-policy", "noeviction")
	d := drill(t, append(entries, full.Entry("full")))
	const cause = "OOM: its memory is full (maxmemory)"
	d.reads([]string{"errors", "pool / full", cause}, []string{"server full (", cause}, []string{"server full (", cause})
}

func TestDrillRefusedReload(t *testing.T) {
	_, entries := redisServers(t, 1)
	d := drill(t, entries)
	text, err := os.ReadFile(d.proxy.Config)
	if err == nil {
		err = os.WriteFile(d.proxy.Config, bytes.Replace(text, []byte("timeout: 300"), []byte("timeout: soon"), 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.proxy.Signal(syscall.SIGUSR1)
	cause := []string{"timeout", "soon"}
	d.reads(append(cause, "The last reload was refused"), append(cause, "the last reload was refused", filepath.Base(d.proxy.Config)),
		append(cause, "configuration not reloaded"))
}

func TestDrillNoDescriptors(t *testing.T) {
	_, entries := redisServers(t, 1)
	d := drill(t, entries)
	// What is shared out among clients is little: the limit is as low as if LimitNOFILE= were.
	var limit unix.Rlimit
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.proxy.Pid()))
	if err == nil {
		err = unix.Prlimit(d.proxy.Pid(), unix.RLIMIT_NOFILE, nil, &limit)
	}
	if limit.Cur = uint64(len(open) + 150); err == nil {
		err = unix.Prlimit(d.proxy.Pid(), unix.RLIMIT_NOFILE, &limit, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.proxy.Signal(syscall.SIGUSR1) // which reads the limit again
	testkit.Await(t, "a client that is refused", func() error {
		conn, err := testkit.Connect(t, d.proxy.Addr())
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = conn.Close() })
		text, err := os.ReadFile(d.proxy.Log)
		if err != nil {
			return err
		}
		return lineWith(string(text), []string{"client refused", "descriptors"})
	})
	d.reads([]string{"clients", "This proxy", "Clients are", "(descriptors)"}, []string{"process", "clients are", "(descriptors)"},
		[]string{"client refused: no descriptors are left for clients"})
}

// A server that is ten times slower, with as many requests as it can answer and with five a
// second.
func TestDrillSlowServer(t *testing.T) {
	for name, rate := range map[string]struct {
		clients int
		pause   time.Duration
	}{"many requests": {9, 0}, "few requests": {1, 200 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			_, entries := redisServers(t, 1)
			slow := testkit.StartScripted(t, func(k *testkit.Talk) {
				for {
					if _, ok := k.Command(); !ok || !k.Late(30*time.Millisecond) {
						return
					}
					k.Reply("+OK\r\n")
				}
			})
			d := quietDrill(t, append(entries, testkit.Entry(slow.Addr(), 1, "slow")), "timeout: 10000") // a busy machine makes it slower yet
			for range rate.clients {
				paced(t, d.proxy.Addr(), rate.pause)
			}
			d.reads([]string{"slow", "pool / slow", "of its", "with the others"}, []string{"server slow (", ") is slow", "with the others"},
				[]string{"server slow (", ") is slow", "with the others"})
		})
	}
}

// TestReasonsExplainThemselves: by the mouse, by a tap and by the keyboard.
func TestReasonsExplainThemselves(t *testing.T) {
	f := startFixture(t, 6)
	f.ill = map[int]string{1: "ejected"}
	b := open(t, f.url, 1440, "light")
	b.await("the cause", `document.querySelector(".trouble .why .term")`)
	said := `document.querySelector("#explain:not([hidden])")?.textContent`
	b.do(`document.querySelector(".trouble .why .term").click()`)
	b.await("what it means, after a tap", said+`?.includes("is not up")`)
	b.do(`document.querySelector(".trouble .why .term").click()`)
	b.await("nothing after another", `document.querySelector("#explain").hidden`)
	b.do(`document.querySelector(".trouble .badge .term").focus()`)
	b.key("\r")
	b.await("what the state means, after Enter", said+`?.includes("ejected: it failed too often")`)
	b.key("\x1b")
	b.await("nothing after Escape", `document.querySelector("#explain").hidden`)
	b.do(`document.querySelector(".trouble .why .term").dispatchEvent(new PointerEvent("pointerenter", { pointerType: "mouse" }))`)
	b.await("what it means, under the mouse", said)
}
